"""A frozen dataclass as a message with the same field names, and back.

The agents and the controller exchange the same dataclasses and may not import each other, so the one rule by
which a dataclass becomes a message is here. It knows no message and no dataclass by name:

- a scalar field, a nested dataclass, a tuple of either goes into the field of the same name;
- ``float`` seconds ``x_s`` go into the Duration ``x``, ``float`` seconds since 1970 ``x_time`` into a Timestamp;
- a StrEnum member goes into the enum value that bears its name, in capitals;
- pairs of text (``tuple[tuple[str, str], ...]`` or a mapping) go into a ``map<string, string>``, sorted by key;
- ``None`` is an absent field; a message that leaves out a field with presence gives ``None``.
"""

__all__ = ["from_message", "to_message"]

import dataclasses
import types
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

Data = TypeVar("Data")
Proto = TypeVar("Proto", bound=Message)
_Put = Callable[[Any, Any], Any]
_Get = Callable[[Any], Any]
_NANOS = 1_000_000_000
# Field descriptors are `Any` below: their stubs lack the `_concrete_class` by which a nested message is made.


def to_message(data: Any, message_type: type[Proto]) -> Proto:
    """The message of ``data``, which is an instance of a dataclass.

    Raises:
        AttributeError, TypeError, ValueError: The message has no such field or the value does not fit it: a
            mistake in the .proto or the dataclass, which the round-trip tests find.
    """
    message = message_type()
    types: Any = (type(data), message_type)
    for name, put in _puts(*types):
        value = getattr(data, name)
        if value is not None:
            put(message, value)
    return message


def from_message(message: Message, data_type: type[Data]) -> Data:
    """The instance of the dataclass ``data_type`` that ``message`` describes.

    Raises:
        ValueError: An enum value is unspecified or unknown here, or the dataclass refuses the values.
    """
    types: Any = (data_type, type(message))
    return data_type(**{name: get(message) for name, get in _gets(*types)})


# How a field is written and read depends on the types alone, so it is worked out once: a controller of a thousand
# devices passes through here several thousand times a second.


@cache
def _puts(data_type: Any, message_type: Any) -> tuple[tuple[str, _Put], ...]:
    return tuple((name, _put(_field(message_type.DESCRIPTOR, name))) for name in _hints(data_type))


@cache
def _gets(data_type: Any, message_type: Any) -> tuple[tuple[str, _Get], ...]:
    hints = _hints(data_type).items()
    return tuple((name, _get(_field(message_type.DESCRIPTOR, name), hint)) for name, hint in hints)


def _hints(data_type: Any) -> dict[str, Any]:
    hints = get_type_hints(data_type)
    return {field.name: hints[field.name] for field in dataclasses.fields(data_type)}


def _field(descriptor: Any, name: str) -> Any:
    fields = descriptor.fields_by_name
    field = fields.get(name) or fields.get(name.removesuffix("_s"))
    if field is None:
        raise AttributeError(f"message {descriptor.name} has no field for '{name}'")
    return field


def _put(field: Any) -> _Put:
    name = field.name
    if _is_map(field):
        return lambda message, pairs: getattr(message, name).update(dict(pairs))
    one = _to_item(field)
    if field.is_repeated:
        if one is None:
            return lambda message, items: getattr(message, name).extend(items)
        return lambda message, items: getattr(message, name).extend(map(one, items))
    if field.message_type is None:
        if one is None:
            return lambda message, value: setattr(message, name, value)
        return lambda message, value: setattr(message, name, one(value))
    if field.message_type.full_name in _TIMES:
        return _put_time(name, always=field.message_type.full_name == Duration.DESCRIPTOR.full_name)
    return lambda message, value: getattr(message, name).CopyFrom(one(value) if one else value)


def _put_time(name: str, *, always: bool) -> _Put:
    def put(message: Any, value: float) -> None:
        if value or always:
            span = getattr(message, name)
            span.seconds, span.nanos = divmod(round(value * _NANOS), _NANOS)

    return put


def _to_item(field: Any) -> Callable[[Any], Any] | None:
    """What a value becomes; None for what stays as it is."""
    if field.message_type is not None:
        message_type = field.message_type._concrete_class
        return lambda item: to_message(item, message_type)
    if field.enum_type is not None:
        numbers = {name: value.number for name, value in field.enum_type.values_by_name.items()}
        return lambda item: numbers[item.name]
    return None


def _get(field: Any, hint: Any) -> _Get:
    name, inner = field.name, _without_none(hint)
    if _is_map(field):
        made = tuple if get_origin(inner) is tuple else dict
        return lambda message: made(sorted(getattr(message, name).items()))
    if field.is_repeated:
        one = _from_item(field, get_args(inner)[0])
        if one is None:
            return lambda message: tuple(getattr(message, name))
        return lambda message: tuple(map(one, getattr(message, name)))
    single = _from_item(field, inner) or _same
    if inner is not hint:
        return lambda message: single(getattr(message, name)) if message.HasField(name) else None
    return lambda message: single(getattr(message, name))


def _from_item(field: Any, hint: Any) -> Callable[[Any], Any] | None:
    """Inverse of ``_to_item``."""
    if field.message_type is None:
        return _enum_member(field, hint) if field.enum_type is not None else None
    if field.message_type.full_name in _TIMES:
        return lambda span: (span.seconds * _NANOS + span.nanos) / _NANOS
    return lambda message: from_message(message, hint)


def _enum_member(field: Any, hint: type[StrEnum]) -> Callable[[int], StrEnum]:
    names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
    members = {number: hint[name] for number, name in names.items() if name in hint.__members__}

    def member(number: int) -> StrEnum:
        if number not in members:
            raise ValueError(f"`{field.name}` (={names.get(number, number)}) is not one of {list(hint)}.")
        return members[number]

    return member


def _same(value: Any) -> Any:
    return value


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    rest = [argument for argument in get_args(hint) if argument is not type(None)]
    return rest[0] if len(rest) == 1 else hint


_TIMES = (Duration.DESCRIPTOR.full_name, Timestamp.DESCRIPTOR.full_name)

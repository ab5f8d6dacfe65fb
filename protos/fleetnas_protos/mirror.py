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
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

Data = TypeVar("Data")
Proto = TypeVar("Proto", bound=Message)
_NANOS = 1_000_000_000
# Field descriptors are `Any` below: their stubs lack the `_concrete_class` by which a nested message is made.


def to_message(data: Any, message_type: type[Proto]) -> Proto:
    """The message of ``data``, which is an instance of a dataclass.

    Raises:
        AttributeError, TypeError, ValueError: The message has no such field or the value does not fit it: a
            mistake in the .proto or the dataclass, which the round-trip tests find.
    """
    message = message_type()
    kind: Any = type(data)
    for name in _hints(kind):
        value = getattr(data, name)
        if value is not None:
            _put(message, _field(message, name), value)
    return message


def from_message(message: Message, data_type: type[Data]) -> Data:
    """The instance of the dataclass ``data_type`` that ``message`` describes.

    Raises:
        ValueError: An enum value is unspecified or unknown here, or the dataclass refuses the values.
    """
    kind: Any = data_type
    hints = _hints(kind)
    return data_type(**{name: _get(message, _field(message, name), hint) for name, hint in hints.items()})


@cache
def _hints(data_type: Any) -> dict[str, Any]:
    hints = get_type_hints(data_type)
    return {field.name: hints[field.name] for field in dataclasses.fields(data_type)}


def _field(message: Message, name: str) -> Any:
    fields = message.DESCRIPTOR.fields_by_name
    field = fields.get(name) or fields.get(name.removesuffix("_s"))
    if field is None:
        raise AttributeError(f"message {message.DESCRIPTOR.name} has no field for '{name}'")
    return field


def _put(message: Message, field: Any, value: Any) -> None:
    if _is_map(field):
        pairs = value.items() if isinstance(value, Mapping) else value
        getattr(message, field.name).update(dict(pairs))
    elif field.is_repeated:
        values = getattr(message, field.name)
        if field.message_type is not None:
            values.extend(to_message(item, field.message_type._concrete_class) for item in value)
        else:
            values.extend(_scalar(field, item) for item in value)
    elif field.message_type is None:
        setattr(message, field.name, _scalar(field, value))
    elif field.message_type.full_name in _TIMES:
        span = getattr(message, field.name)
        if value or field.message_type.full_name == Duration.DESCRIPTOR.full_name:
            span.seconds, span.nanos = divmod(round(value * _NANOS), _NANOS)
    else:
        getattr(message, field.name).CopyFrom(to_message(value, field.message_type._concrete_class))


def _get(message: Message, field: Any, hint: Any) -> Any:
    value = getattr(message, field.name)
    inner = _without_none(hint)
    if _is_map(field):
        pairs = sorted(value.items())
        return tuple(pairs) if get_origin(inner) is tuple else dict(pairs)
    if field.is_repeated:
        return tuple(_item(field, item, get_args(inner)[0]) for item in value)
    if inner is not hint and not message.HasField(field.name):
        return None
    return _item(field, value, inner)


def _item(field: Any, value: Any, hint: Any) -> Any:
    if field.message_type is None:
        return _enum_member(field, value, hint) if field.enum_type is not None else value
    if field.message_type.full_name in _TIMES:
        return (value.seconds * _NANOS + value.nanos) / _NANOS
    return from_message(value, hint)


def _enum_member(field: Any, number: int, hint: type[StrEnum]) -> StrEnum:
    known = field.enum_type.values_by_number.get(number)
    if known is None or known.name not in hint.__members__:
        raise ValueError(f"`{field.name}` (={known.name if known else number}) is not one of {list(hint)}.")
    return hint[known.name]


def _scalar(field: Any, value: Any) -> Any:
    return field.enum_type.values_by_name[value.name].number if field.enum_type is not None else value


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _without_none(hint: Any) -> Any:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    rest = [argument for argument in get_args(hint) if argument is not type(None)]
    return rest[0] if len(rest) == 1 else hint


_TIMES = (Duration.DESCRIPTOR.full_name, Timestamp.DESCRIPTOR.full_name)

"""The keys of PaddleSlim's latency tables and our operators, both ways.

Source: PaddlePaddle/PaddleSlim, ``paddleslim/analysis/latency.py`` (Apache-2.0): the fields in their order.
"""

__all__ = ["PADDLE_PREFIX", "key_of_operator", "operator_of_key"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind

PADDLE_PREFIX = "paddleslim/"
"""Before the key of an operator that we have none for."""

_CONV_FIELDS = 12
_ELTWISE_MULTIPLY, _ELTWISE_ADD = 1, 2
_POOL_MAX, _POOL_AVERAGE = 1, 3  # 2 counts the padding in, which no operator of ours does
_ACTIVATIONS = MappingProxyType(
    {str(one): one for one in (Activation.RELU, Activation.RELU6, Activation.SIGMOID, Activation.HARD_SWISH)}
)


def operator_of_key(kind: str, fields: Sequence[str]) -> Operator | None:
    """The operator a key names; None where we have no such operator.

    Args:
        kind: The key's first field, e.g. ``"conv"``.
        fields: The others.

    Raises:
        InvalidArgumentError: A known kind with fields that are no whole numbers or too few.
    """
    if kind in _ACTIVATIONS:
        return _square(OperatorKind.ACTIVATION, _numbers(kind, fields, 4), _ACTIVATIONS[kind])
    if kind == "batch_norm":
        return _batch_norm(fields)
    if kind not in _READERS:
        return None
    read, count = _READERS[kind]
    return read(_numbers(kind, fields, count))


def key_of_operator(operator: Operator) -> str | None:
    """The key with commas between its fields; None for an operator that the format has no word for."""
    size = f"1,{operator.in_channels},{operator.in_px},{operator.in_px}"
    match operator.kind:
        case OperatorKind.CONV if operator.activation in (Activation.NONE, Activation.RELU):
            flags = f"{int(operator.bias)},{int(operator.activation is Activation.RELU)}"
            return (
                f"conv,{flags},{size},{operator.out_channels},{operator.groups},{operator.kernel_px},"
                f"{operator.padding_px},{operator.stride},1"
            )
        case OperatorKind.ACTIVATION if str(operator.activation) in _ACTIVATIONS:
            return f"{operator.activation},{size}"
        case OperatorKind.BATCH_NORM if operator.activation in (Activation.NONE, *_ACTIVATIONS.values()):
            name = "None" if operator.activation is Activation.NONE else operator.activation
            return f"batch_norm,{name},{size}"
        case OperatorKind.ADD if operator.activation is Activation.NONE:
            return f"eltwise,{_ELTWISE_ADD},{size}"
        case OperatorKind.GLOBAL_AVERAGE_POOL:
            return f"pooling,1,{size},{operator.in_px},0,1,0,{_POOL_AVERAGE}"
        case OperatorKind.AVERAGE_POOL | OperatorKind.MAX_POOL:
            pool = _POOL_MAX if operator.kind is OperatorKind.MAX_POOL else _POOL_AVERAGE
            return f"pooling,0,{size},{operator.kernel_px},{operator.padding_px},{operator.stride},0,{pool}"
        case _:
            return None


def _numbers(kind: str, fields: Sequence[str], count: int) -> list[int]:
    try:
        numbers = [int(field) for field in fields]
    except ValueError:
        raise InvalidArgumentError(
            f"'{kind},{','.join(fields)}' has a field that is no whole number: mend or remove the line."
        ) from None
    if len(numbers) < count:
        raise InvalidArgumentError(
            f"'{kind},{','.join(fields)}' has {len(numbers)} fields after its kind, it needs {count}: mend the line."
        )
    return numbers


def _conv(fields: Sequence[int]) -> Operator | None:
    bias, relu, batch, channels, height, width, out, groups, kernel, padding, stride, dilation = fields[:12]
    if batch != 1 or height != width or dilation != 1 or len(fields) > _CONV_FIELDS:
        return None
    return Operator(
        OperatorKind.CONV,
        channels,
        out,
        height,
        kernel_px=kernel,
        stride=stride,
        padding_px=padding,
        groups=groups,
        activation=Activation.RELU if relu else Activation.NONE,
        bias=bool(bias),
    )


def _batch_norm(fields: Sequence[str]) -> Operator | None:
    """The name of the activation behind it comes first; it may be ``None``."""
    numbers = _numbers("batch_norm", fields[1:], 4)
    activation = _ACTIVATIONS.get(fields[0], Activation.NONE) if fields else Activation.NONE
    found = _square(OperatorKind.BATCH_NORM, numbers, activation)
    return None if found is None else replace(found, batch_norm=True)


def _eltwise(fields: Sequence[int]) -> Operator | None:
    return _square(OperatorKind.ADD, fields[1:]) if fields[0] == _ELTWISE_ADD else None


def _pooling(fields: Sequence[int]) -> Operator | None:
    whole, batch, channels, height, width, kernel, padding, stride, ceil, pool = fields[:10]
    if batch != 1 or height != width or ceil or pool not in (_POOL_MAX, _POOL_AVERAGE):
        return None
    if whole:
        if pool != _POOL_AVERAGE:
            return None
        return Operator(OperatorKind.GLOBAL_AVERAGE_POOL, channels, channels, height, kernel_px=height)
    kind = OperatorKind.MAX_POOL if pool == _POOL_MAX else OperatorKind.AVERAGE_POOL
    return Operator(kind, channels, channels, height, kernel_px=kernel, padding_px=padding, stride=stride)


def _square(
    kind: OperatorKind, fields: Sequence[int], activation: Activation = Activation.NONE
) -> Operator | None:
    batch, channels, height, width = fields[:4]
    if batch != 1 or height != width:
        return None
    return Operator(kind, channels, channels, height, activation=activation)


_READERS: Mapping[str, tuple[Callable[[Sequence[int]], Operator | None], int]] = MappingProxyType(
    {"conv": (_conv, _CONV_FIELDS), "eltwise": (_eltwise, 5), "pooling": (_pooling, 10)}
)

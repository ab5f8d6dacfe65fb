"""Operators and architectures as text that is the same on every machine."""

__all__ = [
    "architecture_from_key",
    "architecture_of_space",
    "operator_from_json",
    "operator_key",
    "operator_to_json",
]

import json
from dataclasses import MISSING, asdict, fields
from typing import Any

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.choices import check_architecture
from fleetnas_search_spaces.errors import DataLossError, InvalidArgumentError
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind, Precision


def operator_key(operator: Operator) -> str:
    """E.g. ``"conv/in_channels=3,out_channels=32,in_px=32,kernel_px=3,padding_px=1"``; defaults are left out."""
    parts = [
        f"{field.name}={int(value) if isinstance(value, bool) else value}"
        for field in fields(operator)
        if field.name != "kind"
        and ((value := getattr(operator, field.name)) != field.default or field.default is MISSING)
    ]
    return f"{operator.kind}/{','.join(parts)}"


def operator_to_json(operator: Operator) -> str:
    """Every field, in alphabetical order."""
    return json.dumps(asdict(operator), sort_keys=True)


def operator_from_json(text: str) -> Operator:
    """Reads what ``operator_to_json`` wrote; a field that is missing has its default.

    Raises:
        DataLossError: It is not that, or has a field or a kind of a newer version.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        enums = {"kind": OperatorKind, "activation": Activation, "precision": Precision}
        values |= {name: enum(values[name]) for name, enum in enums.items() if name in values}
        return Operator(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise DataLossError(
            f"stored operator {text[:120]!r} cannot be read ({error}): upgrade FleetNAS or import it again"
        ) from error


def architecture_from_key(key: str) -> Architecture:
    """The architecture whose ``Architecture.key`` it is.

    Raises:
        InvalidArgumentError: It is no such key.
    """
    try:
        space, resolution, choices = key.rsplit("/", 2)
        return Architecture(space, tuple(int(choice) for choice in choices.split(",")), int(resolution))
    except ValueError:
        raise InvalidArgumentError(
            f"'{key[:120]}' is no key of an architecture: it looks like 'nas-bench-macro/32/2,2,1,2,2,2,2,0'"
        ) from None


def architecture_of_space(key: str, space: SearchSpace) -> Architecture | None:
    """The architecture of ``space`` whose key it is; None for a key of none."""
    try:
        found = architecture_from_key(key)
        check_architecture(found, space)
    except InvalidArgumentError:
        return None
    return found

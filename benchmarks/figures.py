"""The line of a figure: a mean over seeds, between two standard errors."""

__all__ = ["mean_line", "show_line"]

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def mean_line(
    name: str,
    values: Sequence[float],
    unit: str,
    setting: Mapping[str, object],
    *,
    digits: int = 4,
    peer: str | None = None,
    peer_value: float | None = None,
) -> dict[str, Any]:
    """What a benchmark prints with ``--json``.

    Args:
        values: One a seed.
        setting: What else it takes to run it again; the number of seeds is added.
    """
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    value = statistics.mean(values)
    return {
        "name": name,
        "value": round(value, digits),
        "unit": unit,
        "low": round(value - 2 * error, digits),
        "high": round(value + 2 * error, digits),
        "peer": peer,
        "peer_value": peer_value,
        "setting": {"seeds": len(values), **setting},
    }


def show_line(line: Mapping[str, Any], label: str, *, as_json: bool) -> None:
    """Prints it, for people behind ``label``."""
    text = f"{label} {line['value']} {line['unit']} [{line['low']}, {line['high']}]"
    print(json.dumps(line) if as_json else text, flush=True)

"""What ONNX Runtime's own profiler writes, read. Pure."""

__all__ = ["node_times_ms"]

from collections.abc import Mapping, Sequence
from typing import Any

_SUFFIX = "_kernel_time"


def node_times_ms(
    events: Sequence[Mapping[str, Any]], skipped_run_count: int
) -> dict[tuple[str, str], list[float]]:
    """Milliseconds of each node, by its name and operator, in each run but the first ones.

    Args:
        events: Of the file in Chrome's trace format: ``Session`` events named ``model_run``, and ``Node`` events
            within them, with microseconds in ``ts`` and ``dur``.

    Raises:
        KeyError, TypeError, ValueError: It is another format.
    """
    runs = sorted(
        (int(one["ts"]), int(one["ts"]) + int(one["dur"])) for one in events if one["name"] == "model_run"
    )
    kept = runs[skipped_run_count:]
    found: dict[tuple[str, str], list[float]] = {}
    for one in events:
        if one.get("cat") != "Node" or not one["name"].endswith(_SUFFIX):
            continue
        begin = int(one["ts"])
        run = next((index for index, (low, high) in enumerate(kept) if low <= begin <= high), None)
        if run is not None:
            # A name may come twice in a network: its times add up.
            key = (one["name"].removesuffix(_SUFFIX), str(one["args"].get("op_name", "")))
            found.setdefault(key, [0.0] * len(kept))[run] += int(one["dur"]) / 1e3
    return found

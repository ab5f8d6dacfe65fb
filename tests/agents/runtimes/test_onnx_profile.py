"""Reading what ONNX Runtime's profiler writes."""

import pytest

from fleetnas_agents.runtimes.onnx_profile import node_times_ms


def _run(start_us: int, *nodes: tuple[str, int]) -> list[dict[str, object]]:
    """A run of 100 us and its nodes, as ONNX Runtime 1.32 writes them."""
    events: list[dict[str, object]] = [
        {"cat": "Session", "name": "model_run", "ts": start_us, "dur": 100, "args": {}}
    ]
    for index, (name, duration_us) in enumerate(nodes):
        args = {"op_name": "Conv", "node_index": str(index)}
        event = {"cat": "Node", "name": f"{name}_kernel_time", "ts": start_us + 10 * index + 1, "args": args}
        events.append(event | {"dur": duration_us})
    return events


def test_first_runs_do_not_count() -> None:
    events = [one for run in range(4) for one in _run(1000 * run, ("stem", 10 * (run + 1)))]
    assert node_times_ms(events, 2) == {("stem", "Conv"): [0.03, 0.04]}


def test_nodes_of_one_name_add_up_within_a_run() -> None:
    events = _run(0, ("same", 10), ("same", 5), ("other", 1))
    assert node_times_ms(events, 0) == {
        ("same", "Conv"): [pytest.approx(0.015)],
        ("other", "Conv"): [pytest.approx(0.001)],
    }


def test_what_lies_outside_of_runs_is_left_out() -> None:
    stray = {"cat": "Node", "name": "x_kernel_time", "ts": 5000, "dur": 1, "args": {}}
    fence = {"cat": "Node", "name": "x_fence_before", "ts": 5, "dur": 1, "args": {}}
    assert node_times_ms([*_run(0), stray, fence], 0) == {}

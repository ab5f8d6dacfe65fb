"""From a served controller and a join token to a measured MobileNetV2 on a phone and on a board."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import MeasurementRequest, MeasurementState, ModelFile, Selector
from fleetnas_latency.measurement import Plan
from fleetnas_search_spaces.emit_ncnn import emit_ncnn
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool

QUICK = Plan(min_duration_s=0.2, max_duration_s=2.0, min_round_count=2, warmup_min_s=0.1, warmup_cap_s=0.5)


def ask(client: FleetClient, tmp_path: Path, name: str) -> str:
    """Uploads a MobileNetV2 for ncnn and asks for its measurement."""
    found = space("mobilenet-v2-paper")
    model = emit_ncnn(found.graph(found.reference), WeightPool(tmp_path / "pool"), key="k", external=True)
    contents: dict[str, bytes | Path] = {
        "net.param": model.param_text.encode(),
        "net.weights": model.weights_text.encode(),
    } | {one.name: one.path for one in model.weight_files}
    stored = {path: client.put_artifact(content) for path, content in contents.items()}
    files = tuple(ModelFile(path, one.sha256, one.size_bytes) for path, one in stored.items())
    request = MeasurementRequest(name, files, "net.param", plan=QUICK, selector=Selector(runtime="ncnn"))
    return client.create_measurement(request).name


def done(client: FleetClient, name: str, tmp_path: Path) -> Any:
    records = client.wait_any([name], 120.0)
    assert records, (tmp_path / "agent.log").read_text()[-2000:]
    assert records[0].state is MeasurementState.DONE, records[0].fault
    return records[0]


def test_served_device_measures_a_mobilenet_v2(
    device: Any, client: FleetClient, join: Callable[..., Any], tmp_path: Path
) -> None:
    join(device)
    record = done(client, ask(client, tmp_path, "m"), tmp_path)
    assert record.result.estimate.value > 0.0
    assert record.target.stand_in == "x86_64-double"
    assert record.target.runtime == "ncnn"
    assert record.attempt_count == 1


def test_job_whose_device_is_gone_for_good_is_done_on_another(
    make_device: Callable[..., Any],
    client: FleetClient,
    join: Callable[..., Any],
    tmp_path: Path,
    is_measuring: Callable[[Any], bool],
    until: Any,
) -> None:
    devices = {"devices/p": make_device("phone"), "devices/b": make_device("board")}
    for name, device in devices.items():
        join(device, name.removeprefix("devices/"))
    until(lambda: len(client.list_devices()) == 2, "both have joined")
    name = ask(client, tmp_path, "m")
    until(lambda: any(map(is_measuring, devices.values())), "one of them measures")
    holder = client.get_measurement(name).device
    devices[holder].cable.pull()
    record = done(client, name, tmp_path)
    assert record.device in devices
    assert record.device != holder


def test_agent_that_is_killed_in_mid_run_leaves_nothing_and_its_job_is_done_once_it_is_back(
    device: Any,
    client: FleetClient,
    join: Callable[..., Any],
    tmp_path: Path,
    processes_of: Callable[..., Any],
    is_measuring: Callable[[Any], bool],
    left_in: Callable[[Any], list[str]],
    until: Any,
) -> None:
    agent = join(device)
    name = ask(client, tmp_path, "m")
    until(lambda: is_measuring(device), "the runner measures")
    agent.kill()
    agent.wait()
    until(lambda: not processes_of(device), "the runner ended itself")
    join(device)
    assert done(client, name, tmp_path).state is MeasurementState.DONE
    assert not left_in(device)


def test_job_whose_cable_is_pulled_is_done_once_the_device_is_back(
    device: Any,
    client: FleetClient,
    join: Callable[..., Any],
    tmp_path: Path,
    processes_of: Callable[..., Any],
    until: Any,
) -> None:
    join(device)
    name = ask(client, tmp_path, "m")
    until(lambda: any("--exit-with-stdin" in line for line in processes_of(device)), "the runner measures")
    device.cable.pull()
    until(lambda: client.get_measurement(name).fault, "the fault is reported")
    device.cable.plug()
    record = done(client, name, tmp_path)
    assert record.attempt_count >= 2
    assert record.fault.kind.value == "infrastructure"

"""Several networks in turns on phones and boards, and what becomes of one that cannot run."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.stand_ins.conftest import measured

from fleetnas_agents.jobs import FaultKind
from fleetnas_controller.cli import main
from fleetnas_controller.client import FleetClient
from fleetnas_latency.measurement import StopReason
from fleetnas_search_spaces.emit_ncnn import emit_ncnn
from fleetnas_search_spaces.weights import WeightPool

ONES = '"wall_ns":[9,9],"cpu_ns":[9,9],"rounds":[0,1]'


@pytest.fixture
def make_batch(make_job: Any, small_graph: Any) -> Callable[..., tuple[Any, Path]]:
    """Three networks of different inputs. The anchor may move: the rests are not what is tested."""

    def make(**options: Any) -> tuple[Any, Path]:
        job, folder = make_job(others=[small_graph(12), small_graph(6, 32)], **options)
        return replace(job, plan=replace(job.plan, drift_limit=9.0)), folder

    return make


def test_networks_take_turns_and_each_computes_what_it_does_alone(
    device: Any, make_driver: Any, built_runner: Any, make_job: Any, make_batch: Any
) -> None:
    job, folder = make_batch()
    driver = make_driver(device, built_runner())
    assert driver.describe().batches
    result, target = measured(driver, job, folder)
    assert len(result.batch) == 3
    assert {one.raw.round_count for one in result.batch} == {result.raw.round_count}
    assert all(one.raw.stop_reason in StopReason for one in result.batch)
    assert target.runtime == "ncnn"
    for entry, together in zip(job.entry_files, result.batch, strict=True):
        alone, _ = measured(driver, replace(job, entry_file=entry, companion_files=()), folder)
        assert alone.digest == together.digest


@pytest.mark.parametrize("broken", ["net.param", "net-3.param"])
def test_network_that_ncnn_refuses_is_named(
    broken: str,
    device: Any,
    make_driver: Any,
    built_runner: Any,
    make_batch: Any,
    fault_of: Any,
    left_in: Any,
) -> None:
    def spoil(folder: Path) -> None:
        text = (folder / broken).read_text()
        (folder / broken).write_text(text.replace("Convolution ", "Unheard "))

    fault = fault_of(make_driver(device, built_runner()), *make_batch(change=spoil))
    assert (fault.kind, fault.file) == (FaultKind.MODEL, broken)
    assert "which this runner was built without" in str(fault)
    assert not left_in(device)


@pytest.mark.parametrize(
    ("body", "kind", "file"),
    [
        ("echo network 2; kill -9 $$", FaultKind.CRASH, "net-2.param"),
        ("echo network 3; echo fault model no memory; exit 1", FaultKind.MODEL, "net-3.param"),
        ("echo network 3; echo network 0; kill -11 $$", FaultKind.CRASH, ""),
        ("echo network 9; kill -9 $$", FaultKind.CRASH, ""),
        ("echo network 2; echo fault infrastructure no room; exit 1", FaultKind.INFRASTRUCTURE, ""),
        (f'echo \'result {{"networks":[{{"series":{{{ONES}}}}}]}}\'', FaultKind.CRASH, ""),
    ],
)
def test_network_is_to_blame_only_where_the_runner_was_busy_with_it(
    body: str, kind: FaultKind, file: str, make_board: Any, make_driver: Any, fake_runner: Any, make_batch: Any,
    fault_of: Any,
) -> None:  # fmt: skip
    fault = fault_of(make_driver(make_board(), fake_runner(body)), *make_batch())
    assert (fault.kind, fault.file) == (kind, file)


@pytest.fixture
def written(tmp_path: Path, small_graph: Any) -> Callable[..., Path]:
    """An ncnn network as a user has it."""

    def write(name: str, width: int) -> Path:
        model = emit_ncnn(small_graph(width), WeightPool(tmp_path), key=name, external=True)
        (tmp_path / f"{name}.weights").write_text(model.weights_text)
        (tmp_path / f"{name}.param").write_text(model.param_text)
        return tmp_path / f"{name}.param"

    return write


def test_command_measures_what_runs_and_tells_what_does_not(
    device: Any,
    client: FleetClient,
    join: Callable[..., Any],
    tmp_path: Path,
    written: Any,
    until: Any,
    capsys: Any,
) -> None:
    join(device, "d")
    until(client.list_devices, "it has joined")
    files = [written("a", 8), written("b", 12), written("c", 6)]
    files[1].write_text(files[1].read_text().replace("Convolution ", "Unheard "))
    place = ["--controller", client.address, "--data-dir", str(tmp_path / "fleet"), "--device", "d"]
    quick = ["--max-s", "0.5", "--half-width", "50%", "--no-anchor", "--statistic", "wall_median", "--json"]
    code = main(["device", "measure", *map(str, files), *place, *quick, "--runs-dir", str(tmp_path / "runs")])
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert [one["file"] for one in document["networks"]] == [str(files[0]), str(files[2])]
    assert [one["target"]["runtime"] for one in document["networks"]] == ["ncnn", "ncnn"]
    assert [one["file"] for one in document["failed"]] == [str(files[1])]
    assert (code, len(said.err.strip().splitlines())) == (1, 1)
    assert "network 2 of 3: layer" in said.err

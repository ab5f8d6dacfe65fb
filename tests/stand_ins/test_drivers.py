"""Phones and boards through their real links, with the real runner or a script in its place."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from tests.stand_ins.conftest import measured

from fleetnas_latency.digest import digests_agree, output_digest
from fleetnas_latency.statistics import Statistic
from fleetnas_search_spaces.emit_onnx import emit_onnx
from fleetnas_search_spaces.registry import space
from fleetnas_search_spaces.weights import WeightPool


def test_network_is_measured_beside_its_anchor(
    device: Any, make_driver: Any, built_runner: Any, make_job: Any
) -> None:
    job, folder = make_job()
    result, target = measured(make_driver(device, built_runner()), job, folder)
    assert len(result.raw.candidate.wall_ms) >= job.plan.min_run_count
    assert result.ratio is not None
    assert (target.runtime, target.stand_in) == ("ncnn", "test")
    assert {"cores", "max_rss_kib", "platform", "runtime_version"} <= set(dict(result.evidence))


@pytest.mark.parametrize("name", ["mobilenet-v2", "fbnet", "nas-bench-201"])
def test_output_is_what_onnx_runtime_gives_on_the_host(
    name: str, make_board: Any, make_driver: Any, built_runner: Any, make_job: Any
) -> None:
    import onnxruntime

    found = space(name)
    graph = found.graph(found.sample(Random(3)))
    job, folder = make_job(graph, anchor=False)
    result, _ = measured(make_driver(make_board(), built_runner()), job, folder)
    content = emit_onnx(graph, WeightPool(folder), key="k").model_bytes
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    feed = np.random.default_rng(0).standard_normal((1, *graph.input_shape)).astype(np.float32)
    assert digests_agree(result.digest, output_digest(session.run(None, {"input": feed})[0]), 1e-3)


def test_device_says_what_it_is(device: Any, make_driver: Any, fake_runner: Any) -> None:
    driver = make_driver(device, fake_runner("exit 1"))
    description = driver.describe()
    assert description.kind in ("adb", "ssh")
    assert description.model
    assert {one.statistic for one in description.targets} == set(Statistic)
    assert {one.runtime_version for one in description.targets} == {"fake"}


def test_phone_tells_of_its_battery_and_heat(
    make_phone: Any, make_driver: Any, built_runner: Any, make_job: Any
) -> None:
    job, folder = make_job()
    result, target = measured(make_driver(make_phone(), built_runner()), job, folder)
    facts = dict(result.evidence)
    assert (facts["battery_percent"], facts["battery_status"]) == ("81", "charging")
    assert (facts["wakefulness"], facts["thermal_status"]) == ("awake", "0")
    assert (facts["battery_plugged"], facts["battery_charge_uah"]) == ("usb", "not available")
    assert facts["energy_j_per_run"].startswith("not available")
    assert target.device_model == "FleetNAS Double (paper)"


def test_file_is_copied_once(device: Any, make_driver: Any, built_runner: Any, make_job: Any) -> None:
    job, folder = make_job()
    driver = make_driver(device, built_runner())

    async def twice() -> list[dict[str, float]]:
        times = []
        for _ in range(2):
            await driver.measure(job, folder)
            # A copy would be a new file with another number.
            times.append({one.name: one.stat().st_ino for one in (device.folder / "cache").iterdir()})
        await driver.close()
        return times

    first, second = asyncio.run(twice())
    assert first == second
    assert len(first) == len(job.files) + 2  # the runner and the input


def test_nothing_but_the_cache_is_left_on_the_device(
    device: Any, make_driver: Any, built_runner: Any, make_job: Any
) -> None:
    job, folder = make_job()
    measured(make_driver(device, built_runner()), job, folder)
    assert list((device.folder / "jobs").iterdir()) == []
    assert not list((device.folder / "cache").glob("*.part"))


def test_what_an_agent_that_died_has_left_is_swept_out(
    device: Any, make_driver: Any, fake_runner: Any
) -> None:
    ours, old, others = "agent-1", "other-1", "other-2"
    (device.folder / "cache").mkdir(parents=True)
    for name in (ours, old, others):
        (device.folder / "jobs" / name).mkdir(parents=True)
        (device.folder / "cache" / f"abc.{name}-x.part").write_bytes(b"half")
    for place in (device.folder / "jobs" / old, device.folder / "cache" / f"abc.{old}-x.part"):
        os.utime(place, (1e9, 1e9))
    make_driver(device, fake_runner("exit 1")).describe()
    assert [one.name for one in (device.folder / "jobs").iterdir()] == [others]
    assert [one.name for one in (device.folder / "cache").glob("*.part")] == [f"abc.{others}-x.part"]


def test_weights_in_one_bin_file_serve_as_well(
    device: Any, make_driver: Any, built_runner: Any, make_job: Any
) -> None:
    def in_one_file(folder: Path) -> None:
        lines = (folder / "net.weights").read_text().splitlines()[2:]
        parts = [bytes(4) if one == "float32" else _part(folder, *one.split()) for one in lines]
        (folder / "net.bin").write_bytes(b"".join(parts))
        (folder / "net.weights").unlink()

    parted, folder = make_job(anchor=False)
    driver = make_driver(device, built_runner())

    async def both() -> tuple[Any, Any]:
        first, _ = await driver.measure(parted, folder)
        whole, _ = make_job(anchor=False, change=in_one_file)
        second, _ = await driver.measure(whole, folder)
        await driver.close()
        return first.digest, second.digest

    first, second = asyncio.run(both())
    assert first == second


def _part(folder: Path, name: str, size: str) -> bytes:
    return (folder / name).read_bytes()[: int(size)]


@pytest.mark.parametrize(
    ("kind", "machine", "target", "cpu"),
    [
        ("phone", "arm64-v8a", "aarch64", "cortex-a53"),
        ("phone", "armeabi-v7a", "armv7", "cortex-a7"),
        ("board", "aarch64", "aarch64", "cortex-a53"),
        ("board", "armv7l", "armv7", "cortex-a15"),
    ],
)
def test_arm_runner_gives_the_same_output_on_the_oldest_cpu_it_claims(
    kind: str,
    machine: str,
    target: str,
    cpu: str,
    make_device: Any,
    make_driver: Any,
    built_runner: Any,
    make_job: Any,
    emulated: Callable[[str, str], Path],
) -> None:
    arm = make_driver(make_device(kind, machine), emulated(target, cpu))
    native = make_driver(make_device(kind), built_runner())
    for int8, tolerance in ((False, 1e-4), (True, 0.02)):
        job, folder = make_job(int8=int8)
        (found, target_of), (wanted, _) = (measured(one, job, folder) for one in (arm, native))
        assert digests_agree(found.digest, wanted.digest, tolerance)
        assert target_of.precision == ("int8" if int8 else "fp32")

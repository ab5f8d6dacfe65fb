"""The native runner by itself: what it prints, and that it never outlives its reader."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.drivers.native_networks import NativeNetworks
from fleetnas_agents.drivers.runner_output import RunnerOutput
from fleetnas_agents.ncnn_job import job_text
from fleetnas_agents.runner_answer import measurement_of
from fleetnas_latency.measurement import Measurement, Plan, StopReason
from fleetnas_search_spaces.graph import Graph


@pytest.fixture
def job_file(make_job: Any) -> Callable[..., Path]:
    """A job on this machine's own files."""

    def make(others: Sequence[Graph] = (), **limits: float) -> Path:
        job, folder = make_job(others=others)
        places = {one.path: str(folder / one.path) for one in job.files}
        networks = NativeNetworks.read(job, folder)
        (folder / "input").write_bytes(networks.input)
        files = networks.placed(places, str(folder / "input"), "")
        text = job_text(files, job.plan, (), 60.0) + "".join(
            f"{name} {value}\n" for name, value in limits.items()
        )
        (folder / "job.txt").write_text(text)
        return folder / "job.txt"

    return make


def ran(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100.0)


def test_runner_says_its_version(built_runner: Any) -> None:
    content = json.loads(ran([str(built_runner()), "--version"]).stdout)
    assert content == {"protocol": 3, "ncnn": "20261020", "target": "x86_64"}


def test_runner_tells_of_itself_of_its_progress_and_of_the_result(built_runner: Any, job_file: Any) -> None:
    done = ran([str(built_runner()), str(job_file())])
    kinds = [line.split(" ")[0] for line in done.stdout.splitlines()]
    assert (done.returncode, kinds[0], kinds[-1]) == (0, "started", "result")
    assert kinds[1:3] == ["network", "network"]
    assert set(kinds[3:-1]) == {"progress"}


def judged(stdout: str, plan: Plan, count: int = 1) -> Measurement:
    output = RunnerOutput()
    output.feed(stdout.encode() + b"ended 0\n")
    return measurement_of(output.result(), plan, {}, [{}] * count)


def test_rounds_of_candidate_and_anchor_interleave(built_runner: Any, job_file: Any, make_job: Any) -> None:
    raw = judged(ran([str(built_runner()), str(job_file())]).stdout, make_job()[0].plan).raw
    assert set(raw.candidate.rounds) == set(raw.anchor.rounds) == set(range(raw.round_count))
    assert raw.candidate.has_cpu_time
    assert raw.warmup_run_count > 0


def test_sampling_ends_at_its_cap_where_nothing_converges(built_runner: Any, job_file: Any) -> None:
    path = job_file(min_run_count=10**9, max_run_count=10**9, max_duration_s=0.2)
    raw = judged(ran([str(built_runner()), str(path)]).stdout, Plan()).raw
    assert raw.stop_reason is StopReason.DURATION_CAP


def test_loops_of_a_tiny_network_leave_room_for_the_fewest_rounds(built_runner: Any, job_file: Any) -> None:
    path = job_file(max_run_count=200, min_round_count=10, round_duration_s=0.05, max_duration_s=20.0)
    raw = judged(ran([str(built_runner()), str(path)]).stdout, Plan()).raw
    assert raw.candidate.inner_count > 1
    assert raw.round_count >= 10


def test_networks_of_a_batch_take_turns_in_every_round(
    built_runner: Any, job_file: Any, small_graph: Any
) -> None:
    path = job_file([small_graph(12), small_graph(6, 32)], drift_limit=9.0)
    first, *others = judged(ran([str(built_runner()), str(path)]).stdout, Plan(), 3).batch
    rounds = set(range(first.raw.round_count))
    assert len(others) == 2
    for one in (first, *others):
        assert set(one.raw.candidate.rounds) == rounds
        assert one.raw.warmup_run_count > 0
    assert set(first.raw.anchor.rounds) == rounds
    assert {"anchor_before_ms", "anchor_after_ms", "drift_repeats"} <= set(dict(others[-1].evidence))


def test_network_of_a_batch_computes_what_it_computes_alone(
    built_runner: Any, job_file: Any, small_graph: Any
) -> None:
    path = job_file([small_graph(12), small_graph(6, 32)], drift_limit=9.0)
    together = judged(ran([str(built_runner()), str(path)]).stdout, Plan(), 3).batch
    text = path.read_text().splitlines()
    candidates = [line for line in text if line.startswith("candidate ")]
    for one, found in zip(candidates, together, strict=True):
        others = [line for line in candidates if line != one]
        path.write_text("\n".join(line for line in text if line not in others) + "\n")
        assert judged(ran([str(built_runner()), str(path)]).stdout, Plan()).digest == found.digest


def test_fault_in_a_batch_names_the_network(built_runner: Any, job_file: Any, small_graph: Any) -> None:
    path = job_file([small_graph(12), small_graph(6)])
    broken = path.parent / "net-3.param"
    broken.write_text(broken.read_text().replace("Convolution ", "Unheard "))
    done = ran([str(built_runner()), str(path)])
    words = [line for line in done.stdout.splitlines() if line.startswith(("network", "fault"))]
    assert (done.returncode, words[-2]) == (1, "network 3")
    assert words[-1].startswith("fault model layer")


def test_runner_ends_with_its_input(built_runner: Any, job_file: Any) -> None:
    path = job_file(max_run_count=10**9, min_duration_s=60, max_duration_s=60)
    command = [str(built_runner()), "--exit-with-stdin", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().startswith(b"started")
        process.stdin.close()
        assert process.wait(30.0) == 4


def test_runner_ends_without_a_reader(built_runner: Any, job_file: Any) -> None:
    path = job_file(max_run_count=10**9, min_duration_s=60, max_duration_s=60)
    with subprocess.Popen([str(built_runner()), str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30.0) == -13


def test_runner_ends_at_its_own_limit(built_runner: Any, job_file: Any) -> None:
    path = job_file(max_run_count=10**9, min_duration_s=60, max_duration_s=60, limit_s=1)
    assert ran([str(built_runner()), str(path)]).returncode == -14


BROKEN_JOBS = {
    "no file": None,
    "another version": "fleetnas-job 2\n",
    "an unknown field": "fleetnas-job 3\ncolour red\n",
    "a word for a number": "fleetnas-job 3\nlevel high\n",
    "no candidate": "fleetnas-job 3\ninput x\n",
    "no such network": "fleetnas-job 3\ncandidate no such\ninput x\n",
}


@pytest.mark.parametrize("case", BROKEN_JOBS)
def test_job_that_cannot_be_understood_is_a_fault_in_one_line(
    case: str, built_runner: Any, tmp_path: Path
) -> None:
    content = BROKEN_JOBS[case]
    if content is not None:
        (tmp_path / "job").write_text(content)
    done = ran([str(built_runner()), str(tmp_path / "job")])
    assert done.returncode == 1
    assert re.fullmatch(r"started \d+\n(network \d+\n)?fault (infrastructure|model) [^\n]+\n", done.stdout)


def test_runner_on_a_cpu_older_than_its_target_says_so(built_runner: Any) -> None:
    emulator = shutil.which("qemu-x86_64-static")
    if emulator is None:
        pytest.skip("there is no QEMU user emulation here: apt-get install qemu-user-static")
    done = ran([emulator, "-cpu", "Nehalem", str(built_runner()), "--version"])
    assert (done.returncode, "lacks AVX2" in done.stdout) == (1, True)


@pytest.mark.parametrize("target", ["x86_64", "aarch64", "armv7"])
def test_runner_needs_nothing_of_the_devices_libraries(target: str, built_runner: Any) -> None:
    content = built_runner(target).read_bytes()
    assert content[:4] == b"\x7fELF"
    assert b"ld-linux" not in content[:4096]
    assert len(content) < 5_000_000

"""The native runner's measurement protocol gives the answers that the Python core gives."""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "agents" / "runner" / "src"
PARTS = ("batch", "sampling", "warmup", "rounds", "speeds", "statistics")
PLAN = (
    "level", "relative_half_width", "min_run_count", "max_run_count", "min_round_count", "min_duration_s",
    "max_duration_s", "warmup_min_s", "warmup_cap_s", "anchor_share", "round_duration_s",
)  # fmt: skip
BRIEF = {
    "level": 0.95, "relative_half_width": 0.01, "min_run_count": 30, "max_run_count": 2000, "min_round_count": 10,
    "min_duration_s": 0.3, "max_duration_s": 1.0, "warmup_min_s": 0.1, "warmup_cap_s": 0.5, "anchor_share": 0.3,
    "round_duration_s": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def told() -> Any:
    return json.loads((HERE / "pages" / "golden_measurement.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def asked(
    need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Any]:
    """The runner's own sources without ncnn, compiled for this machine."""
    compiler = shutil.which("g++")
    need(compiler, "there is no g++ here: apt-get install g++")
    program = tmp_path_factory.mktemp("golden") / "golden"
    sources = [HERE / "runner_golden.cpp", *(SOURCES / f"{one}.cpp" for one in PARTS)]
    command = [str(compiler), "-std=c++17", "-O1", "-Wall", "-Werror", f"-I{SOURCES}", *map(str, sources)]
    subprocess.run([*command, "-o", str(program)], check=True, timeout=300.0)

    def ask(questions: str) -> Any:
        done = subprocess.run(
            [str(program)], input=questions, capture_output=True, text=True, check=True, timeout=120.0
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


def words(*parts: Any) -> str:
    """Numbers and lists of numbers, each list after its length."""
    found: list[str] = []
    for one in parts:
        found += [str(len(one)), *map(repr, one)] if isinstance(one, Sequence) else [repr(one)]
    return " ".join(found)


def plan_words(plan: Any) -> str:
    return words(*(plan[name] for name in PLAN))


def test_whole_measurements_agree_run_by_run(told: Any, asked: Any) -> None:
    questions = [
        f"measure {one['tick_ms']!r} {plan_words(one['plan'])} {words(*(part or [] for part in one['told_ms']))}\n"
        for one in told["measurements"]
    ]
    for question, answer in zip(told["measurements"], asked("".join(questions)), strict=True):
        expected, name = question["raw"], question["name"]
        (network,) = answer["networks"]
        for series, found in (("candidate", network["series"]), ("anchor", answer["anchor"])):
            assert found["inner_count"] == expected[series]["inner_count"], name
            assert found["rounds"] == expected[series]["rounds"], name
            wall_ms = [one / found["inner_count"] / 1e6 for one in found["wall_ns"]]
            assert wall_ms == pytest.approx(expected[series]["wall_ms"], rel=1e-9), name
        assert network["stop_reason"] == expected["stop_reason"], name
        assert network["warmup_run_count"] == expected["warmup_run_count"], name
        assert network["warmup_steady"] == expected["warmup_steady"], name
        assert answer["tick_ns"] / 1e6 == pytest.approx(expected["tick_ms"], rel=1e-12), name
        assert answer["sampling_duration_s"] == pytest.approx(expected["sampling_duration_s"]), name


def test_intervals_of_rounds_agree(told: Any, asked: Any) -> None:
    questions = [f"rounds 0.5 0.95 {len(one['rounds'])} {words(*one['rounds'])}\n" for one in told["rounds"]]
    for question, answer in zip(told["rounds"], asked("".join(questions)), strict=True):
        expected = question["estimate"]
        assert answer == pytest.approx(
            [expected[name] for name in ("value", "low", "high", "level")], rel=1e-9
        )


def batch(growth: float, slow_from_s: float) -> str:
    networks = [[4.0, 4.01, 3.99], [9.0, 9.02, 8.98], [2.0, 2.001, 2.002]]
    return f"batch {growth!r} {slow_from_s!r} {plan_words(BRIEF)} 3 {words(*networks)} {words([3.0, 3.01, 2.99])}\n"


def test_networks_of_a_batch_share_their_rounds_with_the_anchor(asked: Any) -> None:
    (answer,) = asked(batch(0.0, 0.0))
    count = 1 + answer["anchor"]["rounds"][-1]
    assert count >= BRIEF["min_round_count"]
    for one in answer["networks"]:
        assert set(one["series"]["rounds"]) == set(range(count))
        assert one["stop_reason"] == "converged"
    means = [sum(one["series"]["wall_ns"]) / len(one["series"]["wall_ns"]) for one in answer["networks"]]
    assert means == pytest.approx([4e6, 9e6, 2.001e6], rel=0.01)
    assert (answer["repeat_count"], answer["look_count"], answer["rested_s"]) == (0, 2, 0.0)


def test_device_that_slows_down_rests_longer_each_time_and_gives_up_after_three(asked: Any) -> None:
    (answer,) = asked(batch(0.05, 0.0))
    assert (answer["repeat_count"], answer["rested_s"]) == (3, 70.0)


def test_device_that_slows_down_after_the_batch_is_not_asked_again(asked: Any) -> None:
    (answer,) = asked(batch(0.05, 1000.0))
    assert (answer["repeat_count"], answer["rested_s"]) == (0, 0.0)

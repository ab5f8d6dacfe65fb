"""The page's measurement protocol gives the answers that the Python core gives."""

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
GOLDEN = HERE / "golden_measurement.json"
SOURCES = HERE.parents[2] / "agents" / "page" / "src"


@pytest.fixture(scope="module")
def told() -> Any:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answers(need: Callable[[object, str], None]) -> Any:
    """What the page's scripts answer, in node."""
    node = shutil.which("node")
    need(node, "there is no node here: apt-get install nodejs")
    command = [str(node), str(HERE / "golden.mjs"), str(SOURCES), str(GOLDEN)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120.0)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_the_golden_answers_are_those_of_the_python_core(told: Any, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_golden", HERE / "make_golden.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    made.GOLDEN = tmp_path / "golden.json"
    made.main()
    again = json.loads(made.GOLDEN.read_text(encoding="utf-8"))
    for name in ("measurements", "ticks", "digests"):
        assert again[name] == told[name]


def test_whole_measurements_agree_run_by_run(told: Any, answers: Any) -> None:
    for question, answer in zip(told["measurements"], answers["measurements"], strict=True):
        expected, name = question["raw"], question["name"]
        for series in ("candidate", "anchor"):
            found = answer[series] or {"wallMs": [], "rounds": [], "innerCount": 1}
            assert found["innerCount"] == expected[series]["inner_count"], name
            assert found["rounds"] == expected[series]["rounds"], name
            assert found["wallMs"] == pytest.approx(expected[series]["wall_ms"], rel=1e-12), name
        assert answer["stopReason"].lower() == expected["stop_reason"], name
        assert answer["warmupRunCount"] == expected["warmup_run_count"], name
        assert answer["warmupSteady"] == expected["warmup_steady"], name
        assert answer["tickMs"] == pytest.approx(expected["tick_ms"], rel=1e-12), name
        assert answer["samplingDurationS"] == pytest.approx(expected["sampling_duration_s"], rel=1e-12), name


@pytest.mark.parametrize("kind", ["estimates", "rounds"])
def test_intervals_agree(told: Any, answers: Any, kind: str) -> None:
    for question, answer in zip(told[kind], answers[kind], strict=True):
        assert answer == pytest.approx(question["estimate"], rel=1e-9)


def test_ticks_quantiles_and_digests_agree(told: Any, answers: Any) -> None:
    assert answers["ticks"] == [one["tick_ms"] for one in told["ticks"]]
    assert answers["student"] == pytest.approx([one[2] for one in told["student"]], rel=1e-9)
    for question, answer in zip(told["digests"], answers["digests"], strict=True):
        assert answer == pytest.approx(question["digest"], rel=1e-9, abs=1e-9)


def test_sha256_agrees_with_this_one(need: Callable[[object, str], None]) -> None:
    import hashlib

    node = shutil.which("node")
    need(node, "there is no node here: apt-get install nodejs")
    script = (
        f"import {{ sha256 }} from '{(SOURCES / 'sha256.js').as_uri()}';"
        "for (const n of [0, 1, 55, 56, 63, 64, 65, 119, 120, 4097])"
        "  console.log(sha256(Uint8Array.from({ length: n }, (_, i) => (i * 7 + n) % 256)));"
    )
    command = [str(node), "--input-type=module", "-e", script]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60.0).stdout.split()
    sizes = [0, 1, 55, 56, 63, 64, 65, 119, 120, 4097]
    expected = [hashlib.sha256(bytes((i * 7 + n) % 256 for i in range(n))).hexdigest() for n in sizes]
    assert found == expected

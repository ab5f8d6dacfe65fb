"""The few-shot benchmark reads whatever table it is given, in whatever order."""

import json
import random
import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
COSTS_MS = (0.0, 0.1, 1.0, 3.0, 0.6)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = util.spec_from_file_location("latency_fewshot", FOLDER / "latency_fewshot.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "latency_fewshot", module)
    spec.loader.exec_module(module)
    return module


def _table(path: Path, order: int) -> Path:
    rng = random.Random(0)
    cells = rng.sample([f"{code:06d}" for code in range(500_000) if set(f"{code:06d}") <= set("01234")], 150)
    lines = []
    for cell in cells:
        true_ms = 5.0 + sum(COSTS_MS[int(digit)] for digit in cell)
        lines.append(
            ",".join([cell, *(f"{speed * true_ms * rng.gauss(1.0, 0.01):.4f}" for speed in (1, 2, 5))])
        )
    random.Random(order).shuffle(lines)
    path.write_text("\n".join(["code,fast_1,fast_32,slow", *lines]) + "\n")
    return path


def _lines(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str], table: Path, *options: str
) -> list[dict[str, object]]:
    common = ["--csv", str(table), "--arch-column", "code", "--samples", "12", "--seeds", "1", "--json"]
    assert benchmark.main([*common, *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_order_of_the_file_changes_nothing(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = [
        _lines(benchmark, capsys, _table(tmp_path / f"{order}.csv", order), "--devices", "slow")
        for order in (1, 2)
    ]
    assert found[0] == found[1]
    methods = {str(line["method"]): line for line in found[0]}
    assert {"learned-chosen", "learned-random", "random-forest", "layer-wise-sum"} <= set(methods)
    assert methods["learned-chosen"]["within5"] > 0.9  # type: ignore[operator]


def test_family_of_the_device_is_no_source(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = _table(tmp_path / "t.csv", 1)
    own_family = _lines(benchmark, capsys, table, "--devices", "fast_1", "--sources", "fast_1,fast_32")
    assert own_family == _lines(benchmark, capsys, table, "--devices", "fast_1", "--sources", "none")
    assert own_family != _lines(benchmark, capsys, table, "--devices", "fast_1", "--sources", "slow")


def test_unknown_column_is_named(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = _table(tmp_path / "t.csv", 1)
    assert benchmark.main(["--csv", str(table), "--arch-column", "codes"]) == 1
    assert "did you mean 'code'" in capsys.readouterr().err

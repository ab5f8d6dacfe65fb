"""Whole searches through the real server, agent and protocol; the device plays a table."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.cli import main
from fleetnas_search_spaces.registry import space
from fleetnas_training.accuracy_source import accuracy_source


def _arguments(table: Path, runs_dir: Path, *more: str) -> list[str]:
    start = ["search", "--json", "--replay", str(table), "--runs-dir", str(runs_dir), "--name", "one"]
    return [*start, *more]


def _steps(runs_dir: Path) -> list[tuple[int, str, float | None, float]]:
    """Of each trial its number, architecture, accuracy and latency over the anchor's."""
    from fleetnas_controller.storage import open_database
    from fleetnas_controller.trial_store import SqliteTrials

    trials = SqliteTrials(open_database(runs_dir / "one" / "store.db")).trials("one")
    found = []
    for trial in trials:
        reading = trial.readings["replay"]
        assert reading.ratio is not None
        found.append((trial.number, trial.architecture, trial.accuracy, reading.ratio.value))
    return found


def _wait_for_store(runs_dir: Path) -> None:
    while not (runs_dir / "one" / "store.db").exists():
        time.sleep(0.05)


def _search(table: Path, runs_dir: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main(_arguments(table, runs_dir, *more)) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_search_finds_a_network_that_keeps_the_cap(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = _search(made_up_table, tmp_path, capsys, "--latency-drop", "20%", "--budget", "30")
    assert result["change"]["latency"]["replay"]["high"] < -0.2
    assert [cap["state"] for cap in result["caps"]] == ["kept"]
    assert "replayed" in result["found"]["latency_ms"]["replay"]["source"]
    for path in result["artifacts"].values():
        assert Path(path).stat().st_size > 1000
    page = (tmp_path / "one" / "report.html").read_text()
    assert "http://" not in page
    assert "https://" not in page


def test_search_measures_what_the_self_test_chose_and_says_so(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fleetnas_controller.self_tests import SelfTestRecord, SelfTests
    from fleetnas_controller.storage import open_database
    from fleetnas_controller.trial_store import SqliteTrials

    SelfTests(tmp_path).put(SelfTestRecord("replay", "t", 0.0, "cpu_median", 0.01, "text", "it repeats best"))
    result = _search(made_up_table, tmp_path, capsys, "--latency-drop", "20%", "--budget", "8")
    assert result["statistics"]["replay"]["statistic"] == "cpu_median"
    assert "it repeats best" in result["statistics"]["replay"]["reason"]
    trials = SqliteTrials(open_database(tmp_path / "one" / "store.db")).trials("one")
    targets = {reading.target for trial in trials for reading in trial.readings.values()}
    assert all("cpu_median" in str(one) for one in targets)


def test_killed_search_resumes_to_the_result_of_an_unbroken_one(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noisy = "table:nas-bench-macro:single"
    more = ("--latency-drop", "20%", "--budget", "16", "--seed", "1", "--accuracy", noisy)
    unbroken = _search(made_up_table, tmp_path / "whole", capsys, *more)
    broken, rng = tmp_path / "broken", random.Random(0)
    command = [sys.executable, "-m", "fleetnas_controller.cli", *_arguments(made_up_table, broken, *more)]
    for started in (command, [*command, "--resume"]):  # `benchmarks/kill_search.py` holds the full count
        process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_for_store(broken)
        time.sleep(rng.uniform(1.0, 2.5))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    resumed = _search(made_up_table, broken, capsys, *more, "--resume")
    assert resumed["found"] == unbroken["found"]
    assert _steps(broken) == _steps(tmp_path / "whole")
    macro, drawn = space("nas-bench-macro"), accuracy_source(noisy, seed=1)
    for number, architecture, accuracy, _ in _steps(broken):
        assert accuracy == drawn.evaluate(macro.parse(architecture), number).value_percent


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--space", "nas-bench-makro"), "nas-bench-macro"),
        (("--strategy", "anealing"), "annealing"),
        (("--accuracy", "table:nas-bench"), "table:nas-bench-macro"),
        (("--device", "pixel3"), "replay"),
        (("--budget", "1"), "budget is 1"),
        (("--option", "nonsense"), "KEY=VALUE"),
        (("--objectives", ","), "names nothing"),
        (("--early-stop", "median"), "no accuracies after fewer epochs"),
        (("--max-macs", "-5"), "max_macs"),
        (("--max-latency-ms", "inf"), "max_latency_ms"),
        (("--resume",), "no search 'one'"),
        (("--controller", "127.0.0.1:1"), "give one"),
        (("--replay", "absent.csv"), "no table 'absent.csv'"),
    ],
)
def test_bad_input_gives_one_line_and_leaves_nothing(
    made_up_table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    expected: str,
) -> None:
    assert main(_arguments(made_up_table, tmp_path, *more)) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert expected in said[-1]
    assert said[-1].startswith("fleetnas: ")
    assert not list(tmp_path.iterdir())


def test_controller_without_a_token_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "--runs-dir", str(tmp_path), "--controller", "127.0.0.1:1"]) == 1
    assert "token" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_file_in_place_of_the_runs_folder_is_named(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").write_text("no folder")
    assert main(_arguments(made_up_table, tmp_path / "runs")) == 1
    assert "runs/one' cannot be opened (Not a directory)" in capsys.readouterr().err


def test_impossible_cap_ends_with_the_nearest_miss(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(_arguments(made_up_table, tmp_path, "--max-latency-ms", "0.01", "--budget", "8"))
    assert code == 3
    assert "Nearest miss: " in capsys.readouterr().err
    assert "<h2>Nearest miss</h2>" in (tmp_path / "one" / "report.html").read_text()


def test_counts_that_nothing_keeps_are_refused_before_anything_is_measured(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_arguments(made_up_table, tmp_path, "--max-params", "5")) == 3
    assert "nothing was measured" in capsys.readouterr().err
    assert not (tmp_path / "one").exists()


def test_resuming_a_played_search_asks_for_its_table(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fleetnas_controller.search_config import SearchConfig
    from fleetnas_controller.storage import open_database
    from fleetnas_controller.trial_store import SqliteTrials
    from fleetnas_controller.trials import SearchRecord

    (tmp_path / "one").mkdir()
    config = SearchConfig("one", "nas-bench-macro", "random", "table:nas-bench-macro", ("replay",), budget=4)
    SqliteTrials(open_database(tmp_path / "one" / "store.db")).create_search(SearchRecord(config, 0.0))
    assert main(["search", "--name", "one", "--runs-dir", str(tmp_path), "--resume"]) == 1
    assert "give it with --replay TABLE.csv" in capsys.readouterr().err


def test_second_search_of_one_name_is_refused(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--latency-drop", "20%", "--budget", "6", "--strategy", "random")
    main(_arguments(made_up_table, tmp_path, *more))
    capsys.readouterr()
    assert main(_arguments(made_up_table, tmp_path, *more)) == 1
    assert "--resume" in capsys.readouterr().err


def test_corrupt_store_is_named(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "store.db").write_bytes(b"this is no database, whatever its name says" * 100)
    assert main(_arguments(made_up_table, tmp_path, "--resume")) == 1
    assert "store.db" in capsys.readouterr().err.splitlines()[-1]


def test_run_that_was_stopped_before_it_began_is_named_with_its_cure(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "store.db").touch()
    assert main(_arguments(made_up_table, tmp_path, "--resume")) == 1
    assert "Delete that folder and start again" in capsys.readouterr().err


def test_agent_that_never_comes_ends_the_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "empty.csv"
    table.touch()
    assert main(_arguments(table, tmp_path, "--latency-drop", "20%")) == 1
    assert "empty.csv' is no latency table" in capsys.readouterr().err


def test_search_of_a_front_reports_networks_that_do_not_beat_one_another(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = _search(made_up_table, tmp_path, capsys, "--objectives", "accuracy,latency", "--budget", "30")
    points = [(one["accuracy"], one["latency_ms"]["replay"]["median"]) for one in result["front"]]
    assert len(points) >= 4
    assert points == sorted(points, reverse=True)
    sources = [one["latency_ms"]["replay"]["source"] for one in result["front"]]
    assert sources[0] == sources[-1] == "confirmed, replayed"
    assert "<h2>Front</h2>" in (tmp_path / "one" / "report.html").read_text()
    assert main(["report", "one", "--runs-dir", str(tmp_path), "--pick", "3", "--json"]) == 0
    picks = json.loads(capsys.readouterr().out)["picks"]["replay"]
    assert sorted(one["role"] for one in picks) == ["knee", "medoid", "medoid"]
    assert sum(one["stands_for"] for one in picks) == len(result["front"])
    assert main(["report", "one", "--runs-dir", str(tmp_path), "--pick", "3"]) == 0
    page = (tmp_path / "one" / "report.html").read_text()
    assert all(f"<td>{one['architecture']}</td>" in page for one in picks)
    assert "<h2>Picks for replay</h2>" in page


def test_search_starts_warm_and_from_named_networks(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--latency-drop", "20%", "--strategy", "random", "--budget", "6")
    earlier = _search(made_up_table, tmp_path, capsys, *more)
    named = tmp_path / "named.txt"
    named.write_text("# by hand\n22222200\n\n2,1,2,2,2,2,0,0\n")
    start = ("--name", "two", "--warm-start", "one", "--start-from", str(named))
    later = _search(made_up_table, tmp_path, capsys, *more, *start)
    assert later["warm_start"] == {"from": "one", "trials": 6, "accuracies": 6, "latencies": 6}
    assert later["evaluations"] == earlier["evaluations"]
    page = (tmp_path / "two" / "report.html").read_text()
    assert page.index("search</td><td>22222200") < page.index("search</td><td>21222200")


def test_store_of_a_newer_version_is_refused(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fleetnas_controller.storage import open_database

    assert main(_arguments(made_up_table, tmp_path, "--budget", "6", "--strategy", "random")) == 0
    capsys.readouterr()
    with open_database(tmp_path / "one" / "store.db").conn as connection:
        connection.execute("UPDATE _sqlite_migrations SET name = 'm999' WHERE name LIKE 'm001%'")
    assert main(_arguments(made_up_table, tmp_path, "--resume")) == 1
    assert "newer FleetNAS (change 'm999')" in capsys.readouterr().err


def test_missing_runtime_is_named_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "real = m.version\n"
        "def version(name):\n"
        "    if name in ('onnxruntime', 'ncnn', 'openvino', 'ai-edge-litert'): raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.version = version\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [sys.executable, "-m", "fleetnas_controller.cli", "search", "--runs-dir", str(tmp_path), "--json"],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, check=False, text=True, timeout=100,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "pip install 'fleetnas[host]'" in ended.stderr.strip().splitlines()[-1]


def test_killed_search_ends_the_trainings_of_a_users_program_as_the_unbroken_one_does(
    made_up_table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import sys, time\n"
        "quality = 50 + sum(map(int, sys.argv[1]))\n"
        "for epoch in range(1, 5):\n"
        "    time.sleep(0.05)\n"
        "    print(f'epoch {epoch}/4 accuracy {quality * epoch / 4}')\n"
    )
    more = ["--accuracy", f"training:{sys.executable} {program}", "--early-stop", "median", "--budget", "16"]
    more += ["--strategy", "random", "--max-latency-ms", "100"]
    whole = _search(made_up_table, tmp_path / "whole", capsys, *more)
    broken = tmp_path / "broken"
    command = [sys.executable, "-m", "fleetnas_controller.cli", *_arguments(made_up_table, broken, *more)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for_store(broken)
    time.sleep(4.0)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    resumed = _search(made_up_table, broken, capsys, *more, "--resume")
    assert resumed["early_stop"] == whole["early_stop"]
    assert whole["early_stop"]["stopped"]
    assert 0 < whole["early_stop"]["saved_epochs"] < 4 * whole["early_stop"]["trainings"]
    assert resumed["found"] == whole["found"]
    assert "Trainings ended early" in (broken / "one" / "report.html").read_text()

"""`fleetnas-agent --dry-run`: it tells what an agent would do, and does nothing of it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.cli import main
from fleetnas_agents.drivers.rehearsal import rehearse_device
from fleetnas_agents.drivers.shell import ShellOptions


def rehearsed(device: Any, runner: Path) -> Any:
    options = ShellOptions(folder=str(device.folder), runner=runner, cores=(2, 3), thread_count=2)
    return rehearse_device(device.opener(), device.profile(), options)


def test_dry_run_leaves_the_device_as_it_was(device: Any, fake_runner: Any) -> None:
    before = sorted(device.home.rglob("*"))
    rehearsed(device, fake_runner("exit 1"))
    assert sorted(device.home.rglob("*")) == before


def test_what_a_dry_run_tells_is_what_the_agent_then_does(
    device: Any, make_driver: Any, fake_runner: Any
) -> None:
    runner = fake_runner("exit 1")
    (copy,) = rehearsed(device, runner).copies
    make_driver(device, runner).describe()
    pushed = Path(copy.place).read_bytes()
    assert (copy.source, copy.size_bytes) == (str(runner), len(pushed))
    assert hashlib.sha256(pushed).hexdigest() == copy.sha256


def test_dry_run_tells_cores_and_commands_in_order(device: Any, fake_runner: Any) -> None:
    found = rehearsed(device, fake_runner("exit 1"))
    assert (found.core_set, found.thread_count) == ("2-3", 2)
    told = "\n".join(found.commands)
    steps = ["mkdir -p", "(copy ", "sha256sum", "--version", "--exit-with-stdin", "rm -rf"]
    places = [told.index(step, told.index("--version") if step == "rm -rf" else 0) for step in steps]
    assert places == sorted(places)


def test_command_line_gives_text_for_people_and_json_for_scripts(
    device: Any, fake_runner: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = [
        "--controller", "192.0.2.1:7070", *device.agent_options(), "--device-folder", str(device.folder),
        "--runner", str(fake_runner("exit 1")), "--state-dir", str(tmp_path / "state"), "--dry-run",
    ]  # fmt: skip
    assert main(options) == 0
    assert "nothing was copied or run" in capsys.readouterr().out
    assert main([*options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] in ("adb", "ssh")
    assert not (tmp_path / "state").exists()


def test_host_tells_its_runtimes_and_its_worker(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--controller", "192.0.2.1:7070", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "onnxruntime" in told["runs"]
    assert "fleetnas_agents.worker" in told["commands"][0]


def test_played_devices_have_nothing_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--controller", "192.0.2.1:7070", "--driver", "replay", "--dry-run"]) == 1
    assert "host, adb or ssh" in capsys.readouterr().err

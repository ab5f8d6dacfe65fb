"""`fleetnas device` against a real controller."""

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.cli import main

Command = Callable[..., str]


@pytest.fixture
def command(served: Any, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str, code: int = 0) -> str:
        options = ["--controller", served.address, "--data-dir", str(served.data_dir)]
        assert main(["device", *words, *options]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run


def test_token_is_all_that_is_printed(served: Any, command: Command, processes: Any, online: Any) -> None:
    token = command("token", "--device", "a").strip()
    processes.agent(served.address, token)
    online(served.client)


def test_token_goes_to_a_file_of_its_owner_only(
    served: Any, command: Command, processes: Any, online: Any, tmp_path: Path
) -> None:
    path = tmp_path / "join.token"
    said = command("token", "--out", str(path), "--json")
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(said)["file"] == str(path)
    assert token not in said
    processes.agent(served.address, token)
    online(served.client)


def test_fleet_is_listed_shown_drained_and_removed(
    served: Any, command: Command, processes: Any, online: Any
) -> None:
    processes.agent(served.address, command("token", "--device", "a").strip())
    online(served.client)
    (listed,) = json.loads(command("list", "--json"))
    assert (listed["device"], listed["state"], listed["kind"]) == ("a", "online", "replay")
    assert "online" in command("list")
    assert json.loads(command("drain", "a", "--json"))["state"] == "draining"
    assert "drained by an operator" in command("show", "a")
    assert json.loads(command("undrain", "a", "--json"))["state"] == "online"
    assert json.loads(command("remove", "a", "--json")) == {"removed": "a"}
    assert json.loads(command("list", "--json")) == []


def test_device_says_who_holds_it_and_who_waits(
    served: Any, command: Command, processes: Any, online: Any, measure: Any, until: Any
) -> None:
    processes.agent(served.address, command("token", "--device", "a").strip(), pause_s=20.0)
    online(served.client)
    first, second = measure(served.client, "m1").name, measure(served.client, "m2").name
    until(lambda: served.client.get_device("a").holder == first)
    shown = json.loads(command("show", "a", "--json"))
    assert (shown["holds"], shown["queue"]) == (first, 1)
    assert shown["holder"]["attempts"] == 1
    assert [(one["measurement"], one["position"]) for one in shown["waiting"]] == [(second, 1)]
    text = command("show", "a")
    assert f"held by    {first}" in text
    assert f"waiting    1. {second}" in text


def test_watched_list_shows_changes(served: Any, processes: Any, command: Command, until: Any) -> None:
    options = ["--controller", served.address, "--data-dir", str(served.data_dir)]
    watching = [
        "fleetnas_controller.cli",
        "device",
        "list",
        "--watch",
        "--every",
        "0.05s",
        "--json",
        *options,
    ]
    seen = subprocess.Popen(
        [sys.executable, "-m", *watching],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests may run in the background of a shell, which makes their children deaf to interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert seen.stdout is not None
    try:
        assert json.loads(seen.stdout.readline()) == []
        processes.agent(served.address, command("token", "--device", "a").strip())
        until(lambda: [one["state"] for one in json.loads(seen.stdout.readline())] == ["online"])
        seen.send_signal(signal.SIGINT)
        assert seen.wait(20.0) == 0
    finally:
        seen.kill()
        seen.communicate()


def test_health_is_checked_on_request_and_shown(
    served: Any, command: Command, processes: Any, online: Any
) -> None:
    processes.agent(served.address, command("token", "--device", "a").strip())
    online(served.client)
    assert json.loads(command("health", "a", "--json"))["checks"] == []
    checked = json.loads(command("health", "a", "--check", "--json"))
    assert (checked["device"], checked["state"]) == ("a", "online")
    (check,) = checked["checks"]
    assert (check["trigger"], check["outcome"]) == ("request", "passed")
    # The replayed table has one latency, which is its median.
    assert check["anchor_ms"] == pytest.approx(3.5, rel=0.05)
    assert "replay" in check["target"]
    assert "passed" in command("health", "a")


def test_device_that_is_well_cannot_be_released(
    served: Any, command: Command, processes: Any, online: Any
) -> None:
    processes.agent(served.address, command("token", "--device", "a").strip())
    online(served.client)
    assert "is not in quarantine" in command("release", "a", code=1)


@pytest.mark.parametrize("verb", ["show", "health", "drain", "undrain", "release", "remove"])
def test_unknown_device_is_one_line(command: Command, verb: str) -> None:
    said = command(verb, "none", code=1)
    assert said.startswith("fleetnas: no device 'none' in the fleet")
    assert said.count("\n") == 1


def test_controller_without_our_token_is_one_line(
    served: Any, capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLEETNAS_OPERATOR_TOKEN", raising=False)
    words = ["device", "list", "--controller", served.address, "--data-dir", str(tmp_path / "other")]
    assert main(words) == 1
    assert "operator's token" in capsys.readouterr().err

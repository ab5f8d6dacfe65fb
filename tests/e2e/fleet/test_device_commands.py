"""`fleetnas device` against a real controller."""

import json
from collections.abc import Callable
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


@pytest.mark.parametrize("verb", ["show", "drain", "undrain", "remove"])
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

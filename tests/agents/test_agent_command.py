"""The `fleetnas-agent` command as careless people call it."""

from pathlib import Path

import pytest

from fleetnas_agents.cli import main
from fleetnas_agents.state import AgentState


def arguments(folder: Path, controller: str, *more: str) -> list[str]:
    (folder / "table.csv").write_text("arch,latency_ms\n12,3.5\n", encoding="utf-8")
    start = ["--controller", controller, "--state-dir", str(folder / "agent"), "--driver", "replay"]
    return [*start, "--table", str(folder / "table.csv"), *more]


@pytest.mark.parametrize("controller", ["192.0.2.1:7070", "nowhere", "127.0.0.1:99999", "127.0.0.1:0", ""])
def test_mistyped_address_costs_no_credential(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], controller: str
) -> None:
    AgentState(tmp_path / "agent").keep_private("credential", b"secret")
    assert main(arguments(tmp_path, controller, "--token", "another")) == 1
    assert capsys.readouterr().err.startswith("fleetnas-agent: ")
    assert AgentState(tmp_path / "agent").credential == "secret"


def test_token_file_that_is_no_text_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    assert main(arguments(tmp_path, "127.0.0.1:1", "--token-file", str(tmp_path / "token"))) == 1
    assert "token' holds no token" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--wait-s", "nan"), ("--wait-s", "-1"), ("--wait-s", "inf"), ("--threads", "0"), ("--threads", "-3")],
)
@pytest.mark.parametrize("first", [[], ["install", "--print"]], ids=["agent", "install"])
def test_number_that_cannot_be_is_said_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: list[str], option: str, value: str
) -> None:
    words = ["--controller", "127.0.0.1:1", "--state-dir", str(tmp_path / "agent"), f"{option}={value}"]
    assert main([*first, *words]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"fleetnas-agent: {option} ")
    assert not (tmp_path / "agent").exists()


@pytest.mark.parametrize("driver", ["replay", "host", "adb", "ssh"])
def test_second_agent_in_one_folder_is_told_which_option_gives_it_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], driver: str
) -> None:
    """The default folder is one and the same for all agents that are started in one place."""
    words = arguments(tmp_path, "127.0.0.1:1", "--token", "t", "--driver", driver, "--ssh", "me@127.0.0.1:1")
    with AgentState(tmp_path / "agent").held():
        assert main(words) == 1
    said = capsys.readouterr().err
    assert said.startswith("fleetnas-agent: another agent works in ")
    assert said.endswith("choose another folder with --state-dir.\n")
    assert said.count("\n") == 1

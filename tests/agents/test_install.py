"""`fleetnas-agent install`: a service file that says all but secrets, and is gone again when asked."""

import json
import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from tests.pieces import need

from fleetnas_agents.cli import main
from fleetnas_agents.service_unit import ServiceUnit, unit_text
from fleetnas_agents.state import AgentState
from fleetnas_search_spaces.errors import InvalidArgumentError

SECRET = "a-very-secret-token"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who stands in an empty folder with a token file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("FLEETNAS_TOKEN", "FLEETNAS_RUNNERS", "ANDROID_ADB_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("join.token").write_text(f"{SECRET}\n")
    return tmp_path


def install(*options: str) -> int:
    return main(["install", "--controller", "lab:7070", *options])


def unit(home: Path, name: str) -> Path:
    return home / "config" / "systemd" / "user" / f"fleetnas-agent-{name}.service"


def fields(path: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {key: value for key, _, value in lines}


def test_service_starts_the_agent_with_the_options_given(home: Path) -> None:
    assert install("--token-file", "join.token", "--driver", "adb", "--id", "p1", "--label", "shelf=a 3") == 0
    found = fields(unit(home, "p1"))
    words = shlex.split(found["ExecStart"])
    assert words[1:7] == ["-m", "fleetnas_agents.cli", "--driver", "adb", "--id", "p1"]
    assert words[7:11] == ["--controller", "lab:7070", "--label", "shelf=a 3"]
    assert (found["WorkingDirectory"], found["Restart"]) == (str(home), "always")


def test_systemd_understands_the_service(home: Path) -> None:
    need(shutil.which("systemd-analyze"), "there is no systemd-analyze here")
    install("--token-file", "join.token", "--id", "p1", "--label", 'odd=$HOME 100% "x" back\\slash')
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit(home, "p1"))], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if "fleetnas-agent-p1" in line]
    assert complaints == []


def test_secret_is_only_where_the_agents_user_can_read_it(home: Path) -> None:
    install("--token-file=join.token", "--id", "p1", "--state-dir", "state")
    assert SECRET not in unit(home, "p1").read_text()
    assert "--token-file state/join.token" in fields(unit(home, "p1"))["ExecStart"]
    kept = home / "state" / "join.token"
    assert (kept.read_text().strip(), stat.S_IMODE(kept.stat().st_mode)) == (SECRET, 0o600)


def test_token_of_the_environment_is_kept_the_same_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETNAS_TOKEN", SECRET)
    assert install("--id", "p1") == 0
    assert SECRET not in unit(home, "p1").read_text()
    assert (home / "fleetnas-agent" / "join.token").read_text().strip() == SECRET


def test_secret_on_the_command_line_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("--token", SECRET, "--id", "p1") == 1
    said = capsys.readouterr().err
    assert "--token-file FILE" in said
    assert SECRET not in said
    assert not unit(home, "p1").exists()


def test_agent_that_has_joined_needs_no_token(home: Path) -> None:
    AgentState(home / "fleetnas-agent").keep_private("credential", b"credential")
    assert install("--id", "p1") == 0
    assert "--token-file" not in unit(home, "p1").read_text()


def test_agent_that_could_not_join_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("--id", "p1") == 1
    assert "fleetnas device token" in capsys.readouterr().err
    assert not unit(home, "p1").exists()


def test_print_writes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("--print", "--token-file", "join.token", "--id", "p1") == 0
    assert "ExecStart=" in capsys.readouterr().out
    assert {one.name for one in home.iterdir()} == {"join.token"}


def test_print_and_uninstall_exclude_each_other(home: Path) -> None:
    with pytest.raises(SystemExit):
        install("--print", "--uninstall", "--id", "p1")


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_what_a_link_in_the_state_folder_leads_to_keeps_its_owner(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetnas_agents.install.unit_folder", lambda *_: home / "units")
    (home / "theirs").touch()
    (home / "state").mkdir()
    (home / "state" / "link").symlink_to(home / "theirs")
    options = ("--system", "--run-as", "nobody", "--token-file", "join.token", "--state-dir", "state")
    assert install(*options, "--id", "p1") == 0
    assert (home / "theirs").stat().st_uid == 0
    assert (home / "state" / "join.token").stat().st_uid != 0


def test_system_service_names_its_user(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("--print", "--system", "--run-as", "nobody", "--token-file", "join.token") == 0
    shown = capsys.readouterr().out
    assert "\nUser=nobody\n" in shown
    assert "WantedBy=multi-user.target" in shown
    assert install("--print", "--system", "--run-as", "no-such-user", "--token-file", "join.token") == 1


def test_uninstall_removes_the_service_and_keeps_the_credential(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install("--token-file", "join.token", "--id", "p1")
    wants = unit(home, "p1").parent / "default.target.wants"
    wants.mkdir()
    (wants / unit(home, "p1").name).symlink_to(unit(home, "p1"))
    capsys.readouterr()
    assert main(["install", "--uninstall", "--id", "p1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["done"], said["next"][0]) == ("removed", "systemctl --user stop fleetnas-agent-p1")
    assert not unit(home, "p1").exists()
    assert list(wants.iterdir()) == []
    assert (home / "fleetnas-agent" / "join.token").exists()


def test_uninstall_of_what_is_not_there_says_where_it_looked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--uninstall", "--id", "p9"]) == 1
    assert "fleetnas-agent-p9.service" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../evil", "a b", "-x", "a/b"])
def test_id_that_is_no_file_name_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("--token-file", "join.token", f"--id={name}") == 1
    assert "makes no name of a service" in capsys.readouterr().err


def test_wrong_option_is_wrong_usage_now_and_not_when_the_service_starts() -> None:
    with pytest.raises(SystemExit) as caught:
        install("--token-file", "join.token", "--no-such-option")
    assert caught.value.code == 2


def test_new_line_cannot_add_a_field_to_the_service() -> None:
    with pytest.raises(InvalidArgumentError, match="printable"):
        unit_text(ServiceUnit("t", ["agent", "--label", "a=b\nUser=root"], Path("/"), {}))


def test_service_of_another_device_is_not_replaced(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install("--token-file", "join.token", "--driver", "adb", "--serial", "one") == 0
    before = unit(home, "adb").read_text()
    # Written again as it was, it is the same service.
    assert install("--token-file", "join.token", "--driver", "adb", "--serial", "one") == 0
    assert install("--token-file", "join.token", "--driver", "adb", "--serial", "two") == 1
    assert "an --id of its own" in capsys.readouterr().err
    assert unit(home, "adb").read_text() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--controller", "nowhere"], "is no address"),
        (["--dry-run"], "use --print"),
        (["--label", "shelf"], "is no KEY=VALUE"),
    ],
)
def test_service_that_could_not_start_is_not_written(
    home: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert install("--token-file", "join.token", "--id", "p1", *options) == 1
    assert said in capsys.readouterr().err
    assert not unit(home, "p1").exists()


def test_empty_token_file_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("join.token").write_text("\n")
    assert install("--token-file", "join.token", "--id", "p1") == 1
    assert "'join.token' is empty" in capsys.readouterr().err
    assert not unit(home, "p1").exists()

"""The command line of phones and boards: errors in one line that say what to do."""

import pytest

from fleetnas_agents.cli import main


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--driver", "ssh"], "--ssh USER@HOST"),
        (["--driver", "ssh", "--ssh", "board"], "pi@192.168.1.20"),
        (["--driver", "ssh", "--ssh", "pi@127.0.0.1:9", "--host-key", "MD5:1"], "ssh-keygen -lf"),
        (["--driver", "ssh", "--ssh", "pi@127.0.0.1:9", "--known-hosts", "/no/such"], "/no/such"),
        (["--driver", "adb", "--cores", "7-4"], "--cores '7-4'"),
    ],
)
def test_wrong_option_is_said_in_one_line(
    options: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    pytest.importorskip("paramiko", reason="the package paramiko is not installed")
    state = str(tmp_path_factory.mktemp("agent"))
    code = main(["--controller", "127.0.0.1:1", "--state-dir", state, "--wait-s", "0", *options])
    said = capsys.readouterr().err.strip().splitlines()
    assert code == 1
    assert len(said) == 1
    assert words in said[0]

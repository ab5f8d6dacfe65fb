import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetnas_controller.cli import build_parser, main


def _commands(
    parser: argparse.ArgumentParser, path: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, one in action.choices.items():
                yield from _commands(one, f"{path} {name}".strip())
                if not any(isinstance(deeper, argparse._SubParsersAction) for deeper in one._actions):
                    yield f"{path} {name}".strip(), one


@pytest.mark.parametrize("name", sorted(name for name, _ in _commands(build_parser())))
def test_every_command_has_help_with_an_example(name: str) -> None:
    text = dict(_commands(build_parser()))[name].format_help()
    assert f"fleetnas {name.split()[0]}" in text
    assert "example" in text


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom fleetnas_controller.cli import build_parser\nbuild_parser().format_help()\n"
        "print([one for one in ('numpy', 'grpc', 'onnx', 'scipy', 'torch', 'optuna', 'rich') if one in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_completion_script_knows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    assert "latency" in capsys.readouterr().out


def test_wrong_usage_exits_with_two() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["search", "--latency-drop", "lots"])
    assert ended.value.code == 2


def test_as_many_caps_as_devices_are_one_each(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    caps = ["--max-latency-ms", "15", "--max-latency-ms", "40", "--max-latency-ms", "50"]
    devices = ["--device", "pixel3", "--device", "rk3288"]
    assert main(["search", *devices, *caps, "--runs-dir", str(tmp_path)]) == 1
    assert "3 --max-latency-ms came with 2 --device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [(">/dev/full", 1, "fleetnas: the output cannot be written (No space left on device)."), (">&-", 0, "")],
)
def test_output_that_cannot_be_written_gives_at_most_one_line(redirection: str, code: int, said: str) -> None:
    command = f"{sys.executable} -m fleetnas_controller.cli completion bash {redirection}"
    answer = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, check=False)
    assert (answer.returncode, answer.stderr.strip()) == (code, said)


@pytest.mark.parametrize(
    "more",
    [
        *(("--ttl", one) for one in ("0", "nan", "inf", "1e300d", "soon", "", "24")),
        *(("--uses", one) for one in ("0", "x", "9" * 20)),
    ],
)
def test_token_for_ever_or_for_nothing_is_wrong_usage(
    more: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["device", "token", *more])
    assert ended.value.code == 2
    assert f"argument {more[0]}: '{more[1]}' is" in capsys.readouterr().err


@pytest.mark.parametrize("token", ["two\nlines", "\u00e9", "a b"])
def test_text_that_is_no_operators_token_is_not_sent(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEETNAS_OPERATOR_TOKEN", token)
    assert main(["device", "list"]) == 1
    assert "what is in FLEETNAS_OPERATOR_TOKEN is no operator's token" in capsys.readouterr().err


def test_token_that_nobody_gives_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLEETNAS_OPERATOR_TOKEN", "secret")
    out = tmp_path / "join.token"
    assert main(["device", "token", "--out", str(out), "--controller", "127.0.0.1:1"]) == 1
    assert "no controller answers" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["::1", "::1:7070", "fe80::2:7070"])
def test_address_of_ipv6_without_brackets_is_told_how_to_be_written(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--listen", address, "--data-dir", str(tmp_path / "fleet")]) == 1
    said = capsys.readouterr().err
    assert f"'{address}' is no address: an IPv6 one stands in brackets, e.g. [::1]:7070." in said
    assert not (tmp_path / "fleet").exists()

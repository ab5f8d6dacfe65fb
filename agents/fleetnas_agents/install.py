"""``fleetnas-agent install``: a service that keeps the agent running. Writes files, starts nothing."""

__all__ = ["install"]

import argparse
import json
import os
import pwd
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fleetnas_agents.service_unit import ServiceUnit, unit_folder, unit_text, wanted_link
from fleetnas_agents.state import AgentState
from fleetnas_search_spaces.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from fleetnas_search_spaces.whole_files import write_whole

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_TOKEN_NAME = "join.token"
_CARRIED = ("ANDROID_ADB_SERVER_PORT", "FLEETNAS_RUNNERS")
"""Variables that say where things are, which a service would not inherit."""
_USAGE = "fleetnas-agent install [--system] [--print | --uninstall] [--json] OPTIONS OF THE AGENT"
_EPILOG = """\
All other options are those of fleetnas-agent; the service starts it with them, in the folder where you are now.

examples:
  fleetnas-agent install --controller lab:7070 --token-file join.token --driver adb --id phone-1
  fleetnas-agent install --print --controller lab:7070 --token-file join.token --id bench-1
  fleetnas-agent install --uninstall --id phone-1

The token is copied into the agent's --state-dir, where only its user can read it; the service file holds no secret.
"""


def install(
    argv: Sequence[str],
    agent_parser: argparse.ArgumentParser,
    check: Callable[[argparse.Namespace], None],
    token_of: Callable[[argparse.Namespace], str],
) -> int:
    """Writes, shows or removes the service file of one agent.

    Args:
        argv: What stands behind ``install``.
        agent_parser, check: Look at the options that the service will start the agent with.
        token_of: Reads the join token that they name.

    Returns:
        0: done, and what to do next was said.

    Raises:
        InvalidArgumentError: The id makes no file name, a secret would stand in the service file, or the agent
            would not start with these options.
        FailedPreconditionError: The agent could not join with what it is given, or the name is another service's.
        NotFoundError: There is no such service to remove.
        PermissionDeniedError: The file cannot be written or removed.
    """
    args, rest = _parser().parse_known_args(argv)
    name = _service_name(args.id or args.driver)
    path = unit_folder(args.system, os.environ) / f"{name}.service"
    if args.uninstall:
        _remove(path, args.system)
        _say(args, path, [f"{_systemctl(args)} stop {name}", f"{_systemctl(args)} daemon-reload"])
        return 0
    options = ["--driver", args.driver, *(["--id", args.id] if args.id else []), *rest]
    agent = agent_parser.parse_args(options)
    check(agent)
    if agent.dry_run:
        raise InvalidArgumentError(
            "--dry-run ends at once and makes no service: use --print to see the service."
        )
    token = _checked_token(agent, token_of)
    text = unit_text(_unit(args, agent, rest, bool(token)))
    if args.print:
        print(text, end="")
        return 0
    _check_unused(path, text)
    _keep_token(agent.state_dir, token, _user(args))
    _write(path, text)
    _say(
        args,
        path,
        [
            f"{_systemctl(args)} daemon-reload",
            f"{_systemctl(args)} enable --now {name}",
            *([] if args.system else ["loginctl enable-linger  # or it ends when you log out"]),
        ],
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fleetnas-agent install",
        usage=_USAGE,
        description="Writes a systemd service that keeps this agent running; starts nothing by itself.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--system",
        action="store_true",
        help="for the machine, in /etc/systemd/system (default: for you alone)",
    )
    add(
        "--run-as", default="", metavar="USER", help="with --system: whose process (default: who called sudo)"
    )
    either = parser.add_mutually_exclusive_group().add_argument
    either("--print", action="store_true", help="show the service file and write nothing")
    either("--uninstall", action="store_true", help="remove the service file; credential and cache stay")
    add("--json", action="store_true", help="say what was done as one JSON document")
    add("--driver", default="host", help=argparse.SUPPRESS)
    add("--id", default="", help="id of the device; the service is called fleetnas-agent-ID")
    return parser


def _unit(
    args: argparse.Namespace, agent: argparse.Namespace, rest: Sequence[str], has_token: bool
) -> ServiceUnit:
    token_file = ["--token-file", str(agent.state_dir / _TOKEN_NAME)] if has_token else []
    command = [
        sys.executable, "-m", "fleetnas_agents.cli", "--driver", args.driver,
        *(["--id", args.id] if args.id else []), *_without_token_file(rest), *token_file,
    ]  # fmt: skip
    environment = {name: os.environ[name] for name in _CARRIED if os.environ.get(name)}
    user = _user(args).pw_name if args.system else ""
    return ServiceUnit(f"{args.id or args.driver} ({args.driver})", command, Path.cwd(), environment, user)


def _without_token_file(rest: Sequence[str]) -> list[str]:
    """The token's copy is named instead: the file that the user made may be gone, or be read by everybody."""
    kept = []
    words = iter(rest)
    for word in words:
        if word == "--token-file":
            next(words)
        elif not word.startswith("--token-file="):
            kept.append(word)
    return kept


def _service_name(identifier: str) -> str:
    if not _NAME.fullmatch(identifier):
        raise InvalidArgumentError(
            f"--id '{identifier}' makes no name of a service: use letters, digits, '.', '_' and '-'."
        )
    return f"fleetnas-agent-{identifier}"


def _checked_token(agent: argparse.Namespace, token_of: Callable[[argparse.Namespace], str]) -> str:
    if agent.token:
        raise InvalidArgumentError(
            "--token would stand in the service file, where everybody can read it: write it into a file, then say "
            "--token-file FILE."
        )
    token = token_of(agent)
    if agent.token_file is not None and not token:
        raise InvalidArgumentError(
            f"the token file '{agent.token_file}' is empty: write one with 'fleetnas device token'."
        )
    folder = agent.state_dir
    if not token and not (folder / "credential").exists() and not (folder / "identity.pem").exists():
        raise FailedPreconditionError(
            f"the agent has no credential in '{folder}' and no token to join with: add --token-file FILE, which "
            "'fleetnas device token' writes."
        )
    return token


def _user(args: argparse.Namespace) -> pwd.struct_passwd:
    if not args.system:
        return pwd.getpwuid(os.getuid())
    name = args.run_as or os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise NotFoundError(f"there is no user '{name}' here: name another with --run-as.") from error


def _keep_token(state_dir: Path, token: str, user: pwd.struct_passwd) -> None:
    if not token:
        return
    AgentState(state_dir).keep_private(_TOKEN_NAME, f"{token}\n".encode())
    if os.getuid() == 0:
        # Links themselves, never what they lead to: that may be somebody else's.
        for path in (state_dir, *state_dir.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _check_unused(path: Path, text: str) -> None:
    """The same service may be written again; another one of that name belongs to some other device."""
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
        raise FailedPreconditionError(
            f"there is another service in '{path}': give this device an --id of its own, or remove that one "
            "first with 'fleetnas-agent install --uninstall'."
        )


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise PermissionDeniedError(
            f"the service file '{path}' cannot be written ({error.strerror}): with --system run it under sudo."
        ) from error


def _remove(path: Path, system: bool) -> None:
    try:
        path.unlink()
        wanted_link(path, system).unlink(missing_ok=True)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no service file '{path}': say which with --id, and --system if it is the machine's."
        ) from error
    except OSError as error:
        raise PermissionDeniedError(
            f"the service file '{path}' cannot be removed ({error.strerror}): with --system run it under sudo."
        ) from error


def _systemctl(args: argparse.Namespace) -> str:
    return "sudo systemctl" if args.system else "systemctl --user"


def _say(args: argparse.Namespace, path: Path, commands: Sequence[str]) -> None:
    done = "removed" if args.uninstall else "written"
    if args.json:
        print(json.dumps({"unit": str(path), "done": done, "next": list(commands)}))
        return
    print(f"{path} was {done}. Next:")
    for command in commands:
        print(f"  {command}")

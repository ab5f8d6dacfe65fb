"""The `fleetnas-agent` command: one process for each device, or for many played ones."""

__all__ = ["main"]

import argparse
import asyncio
import contextlib
import dataclasses
import json
import math
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fleetnas_agents.clocks.options import add_clock_option, clock_name, clocks
from fleetnas_agents.driver import Driver
from fleetnas_agents.drivers.replay.options import add_replay_options, replay_settings
from fleetnas_agents.drivers.shell_options import (
    SHELL_DRIVERS,
    add_shell_options,
    make_shell_driver,
    rehearse_shell_driver,
)
from fleetnas_agents.patience import patiently
from fleetnas_search_spaces.errors import FleetNASError, InvalidArgumentError, NotFoundError
from fleetnas_search_spaces.logs import LOG_FORMATS, LOG_LEVELS, set_up_logging

if TYPE_CHECKING:
    from fleetnas_protos.join import JoinText

_TOKEN_VARIABLE = "FLEETNAS_TOKEN"

_EPILOG = """\
examples:
  fleetnas device token --data-dir fleet > join.token
  fleetnas-agent --controller 127.0.0.1:7070 --token-file join.token --driver host --id bench-1
  fleetnas-agent --controller 127.0.0.1:7070 --token-file join.token --driver replay --table cpu.csv
  fleetnas device token --data-dir fleet --uses 20 > join.token
  fleetnas-agent --controller 127.0.0.1:7070 --token-file join.token --driver replay --table fbnet \\
      --columns pixel3,samsung_a50 --devices 20 --fault disconnect=0.05 --fault drift=0.1:0.2 --seed 1
  fleetnas-agent --controller lab:7070 --token-file join.token --driver adb --id phone-1
  fleetnas-agent --controller lab:7070 --token-file join.token --driver ssh --ssh pi@board --id board-1
  fleetnas-agent --controller lab:7070 --driver adb --dry-run   # what it would copy to the phone and run there
  fleetnas-agent install --controller lab:7070 --token-file join.token --id bench-1   # as a systemd service
  sudo fleetnas-agent --controller lab:7070 --token-file join.token --driver host --lock-clocks

The token is needed once; the agent keeps a credential of its own in --state-dir and reconnects with that.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Serves one device until stopped.

    Returns:
        0 stopped; 1 an error of ours, in one line; 2 wrong usage.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        if words[:1] == ["install"]:
            from fleetnas_agents.install import install

            return install(words[1:], _parser(), _check, _token)
        args = _parser().parse_args(words)
        _check(args)
        if args.dry_run:
            _rehearse(args)
        else:
            _run_agent(args)
    except FleetNASError as error:
        print(f"fleetnas-agent: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _run_agent(args: argparse.Namespace) -> None:
    set_up_logging(args.log_format, args.log_level)
    if args.exit_with_stdin:
        _exit_with_stdin()
    asyncio.run(_serve(args))


def _rehearse(args: argparse.Namespace) -> None:
    """Says what would be pushed and run; reads the device and nothing else."""
    labels = tuple(_label(one) for one in args.label)
    if args.driver in SHELL_DRIVERS:
        found = rehearse_shell_driver(args, labels)
    elif args.driver == "host":
        from fleetnas_agents.drivers.rehearsal import rehearse_host

        found = rehearse_host(_driver(args, labels))
    else:
        raise InvalidArgumentError(
            f"--dry-run tells of devices; --driver {args.driver} has none: use it with host, adb or ssh."
        )
    print(json.dumps(dataclasses.asdict(found)) if args.json else found.text())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fleetnas-agent",
        description="Lends a device to a FleetNAS controller: dials out, measures what it is given, reports.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--controller", required=True, metavar="ADDR", help="HOST:PORT of the controller")
    parser.add_argument(
        "--driver", choices=["host", "replay", *SHELL_DRIVERS], default="host", help="kind of device"
    )
    parser.add_argument("--token", help="join token; seen by other users in `ps`, so rather use a file")
    parser.add_argument(
        "--token-file", type=Path, help=f"file with the join token (or set {_TOKEN_VARIABLE})"
    )
    parser.add_argument("--id", default="", help="id of the device (default: the controller chooses)")
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=Path("fleetnas-agent"),
        help="credential and cache (default: %(default)s)",
    )
    parser.add_argument(
        "--label", action="append", default=[], metavar="KEY=VALUE", help="label for selectors"
    )
    parser.add_argument("--core", type=int, help="host: core to measure on (default: the last)")
    parser.add_argument(
        "--threads", type=int, default=1, help="host: threads that a job may use, at most (default: 1)"
    )
    parser.add_argument(
        "--reconnect-cap-s",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="longest wait before dialling again (default: %(default)s)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be copied to the device and run there, and do nothing of it",
    )
    parser.add_argument("--json", action="store_true", help="with --dry-run: as one JSON document")
    add_clock_option(parser)
    add_replay_options(parser)
    add_shell_options(parser)
    parser.add_argument("--log-format", choices=LOG_FORMATS, default="text", help="default: %(default)s")
    parser.add_argument("--log-level", choices=LOG_LEVELS, default="info", help="default: %(default)s")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input is closed")
    return parser


async def _serve(args: argparse.Namespace) -> None:
    running = asyncio.ensure_future(_run(args))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _check(args: argparse.Namespace) -> None:
    """Raises InvalidArgumentError on options that no agent can start with, whatever is to be done with them."""
    _address(args.controller)
    for one in args.label:
        _label(one)
    if not 0.0 < args.reconnect_cap_s < math.inf:
        raise InvalidArgumentError(
            f"--reconnect-cap-s {args.reconnect_cap_s:g} is no wait: give seconds above zero, e.g. 15."
        )
    if not 0.0 <= args.wait_s < math.inf:
        raise InvalidArgumentError(f"--wait-s {args.wait_s:g} is no wait: give seconds, 0 or more.")
    if args.threads < 1:
        raise InvalidArgumentError(f"--threads {args.threads} is no number of threads: give 1 or more.")


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise InvalidArgumentError(
            f"--controller '{text}' is no address: write HOST:PORT, e.g. 127.0.0.1:7070."
        )
    return text


async def _run(args: argparse.Namespace) -> None:
    from fleetnas_agents.agent import Agent, AgentSettings
    from fleetnas_agents.state import AgentState

    labels = tuple(_label(one) for one in args.label)
    settings = AgentSettings(args.controller, args.id, backoff_cap_s=args.reconnect_cap_s)
    if args.driver == "replay":
        clock_name(args)  # refuses the option
        from fleetnas_agents.drivers.replay.fleet import run_devices

        await run_devices(replay_settings(args, labels), settings, args.state_dir, _join_text(args))
        return
    state = AgentState(args.state_dir)
    join, driver = _join_text(args), _driver(args, labels)
    with state.held():
        async with _held_clocks(args):
            description = await patiently(driver.describe)
            await Agent(driver, description, state, settings, join).run()


@contextlib.asynccontextmanager
async def _held_clocks(args: argparse.Namespace) -> AsyncIterator[None]:
    """``clocks``; a stop is heard while the device is looked for."""
    holding = clocks(args)
    await patiently(holding.__enter__, lambda entered: _let_go(holding))
    try:
        yield
    finally:
        _let_go(holding)


def _let_go(holding: contextlib.AbstractContextManager[None]) -> None:
    holding.__exit__(None, None, None)


def _driver(args: argparse.Namespace, labels: tuple[tuple[str, str], ...]) -> Driver:
    if args.driver in SHELL_DRIVERS:
        return make_shell_driver(args, labels, clock_name(args))
    from fleetnas_agents.drivers.host import HostDriver

    return HostDriver(core=args.core, thread_count=args.threads, labels=labels, clock=clock_name(args))


def _join_text(args: argparse.Namespace) -> "JoinText":
    from fleetnas_protos.join import parse_join_text

    try:
        return parse_join_text(_token(args))
    except ValueError as error:
        raise InvalidArgumentError(str(error)) from error


def _token(args: argparse.Namespace) -> str:
    if args.token:
        return str(args.token)
    if args.token_file is None:
        return os.environ.get(_TOKEN_VARIABLE, "")
    try:
        return str(args.token_file.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise NotFoundError(
            f"the token file '{args.token_file}' cannot be read ({error.strerror})."
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"the token file '{args.token_file}' holds no token: write one with 'fleetnas device token'."
        ) from error


def _label(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise InvalidArgumentError(f"--label '{text}' is no KEY=VALUE, e.g. --label shelf=3.")
    return key, value


def _exit_with_stdin() -> None:
    """Ends this process at once when whoever started it is gone; its worker is told by the kernel."""

    def wait() -> None:
        # Not through sys.stdin: a thread that holds its lock breaks the interpreter's shutdown.
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())

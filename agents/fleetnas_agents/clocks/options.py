"""The option `--lock-clocks`, and what holds the clocks that it asks for."""

__all__ = ["add_clock_option", "clock_name", "clocks"]

import argparse
from contextlib import AbstractContextManager

from fleetnas_agents.clocks.lock import ClockSettings
from fleetnas_agents.drivers.shell_options import SHELL_DRIVERS, agent_owner, shell_opener
from fleetnas_search_spaces.errors import InvalidArgumentError

_FASTEST = "fastest"


def add_clock_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lock-clocks",
        nargs="?",
        const=_FASTEST,
        metavar="KHZ",
        help="host, adb, ssh, with root: hold every core at KHZ, or at what the governor 'performance' gives; put "
        "back at the end, and at the next start after a crash",
    )


def clock_name(args: argparse.Namespace) -> str:
    """As targets bear it; empty without the option."""
    settings = _settings(args)
    return settings.name if settings is not None else ""


def clocks(args: argparse.Namespace) -> AbstractContextManager[None]:
    """Holds the device's clocks as the options say; without the option it puts back what an earlier start left."""
    settings = _settings(args)
    if args.driver in SHELL_DRIVERS:
        from fleetnas_agents.clocks.device import device_clocks
        from fleetnas_agents.clocks.files import ShellClockFiles

        journal = args.state_dir / "clocks.json"
        return device_clocks(
            ShellClockFiles(shell_opener(args)), settings, journal, agent_owner(args.state_dir)
        )
    from fleetnas_agents.clocks.host import host_clocks

    return host_clocks(settings)


def _settings(args: argparse.Namespace) -> ClockSettings | None:
    if args.lock_clocks is None:
        return None
    if args.driver == "replay":
        raise InvalidArgumentError("--lock-clocks: a played device has no clocks: leave it out.")
    if args.lock_clocks == _FASTEST:
        return ClockSettings()
    if not args.lock_clocks.isdecimal() or not 0 < int(args.lock_clocks) < 100_000_000:
        raise InvalidArgumentError(
            f"--lock-clocks '{args.lock_clocks}' is no frequency in kHz, e.g. 1200000."
        )
    return ClockSettings(int(args.lock_clocks))

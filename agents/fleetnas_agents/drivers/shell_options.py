"""The command-line options of phones and boards, and the drivers they make."""

__all__ = [
    "SHELL_DRIVERS",
    "add_shell_options",
    "agent_owner",
    "make_shell_driver",
    "rehearse_shell_driver",
    "shell_opener",
]

import argparse
import hashlib
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fleetnas_agents.driver import Driver
from fleetnas_agents.drivers.cores import parse_cores
from fleetnas_search_spaces.errors import InvalidArgumentError

if TYPE_CHECKING:
    from fleetnas_agents.drivers.rehearsal import Rehearsal
    from fleetnas_agents.drivers.shell import Profile, ShellOptions
    from fleetnas_agents.shells.shell import Opener

SHELL_DRIVERS = ("adb", "ssh")
_FOLDERS = {"adb": "/data/local/tmp/fleetnas", "ssh": "/var/tmp/fleetnas"}


def add_shell_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--serial", default="", help="adb: the phone, as `adb devices` names it (default: the only one)")
    add("--connect", default="", metavar="HOST:PORT", help="adb: a phone with wireless debugging")
    add("--ssh", default="", metavar="USER@HOST[:PORT]", help="ssh: the board")
    add("--key", type=Path, help="ssh: private key (default: the SSH agent's and your own)")
    add("--host-key", default="", metavar="SHA256:..", help="ssh: fingerprint of the board's host key")
    add("--known-hosts", type=Path, help="ssh: file of host keys (default: your own)")
    add("--cores", help="adb, ssh: cores to measure on, e.g. 4-7 (default: the fastest)")
    add("--runner", type=Path, help="adb, ssh: the native runner, or its folder (default: build/runner)")
    add("--device-folder", help="adb, ssh: the agent's folder on the device")
    add("--wait-s", type=float, default=20.0, help="adb, ssh: how long to wait for the device (default: 20)")
    add(
        "--stand-in",
        default="",
        metavar="NAME",
        help="adb, ssh: what replaces the device; shown with every number",
    )


def make_shell_driver(
    args: argparse.Namespace, labels: tuple[tuple[str, str], ...], clock: str = ""
) -> Driver:
    """The driver of the device that the options name.

    Args:
        clock: What its cores are held at, see ``ShellOptions``.

    Raises:
        InvalidArgumentError: They do not say which device.
    """
    from fleetnas_agents.drivers.shell import ShellDriver

    opener, profile, options = _device(args, labels)
    return ShellDriver(opener, profile, replace(options, clock=clock))


def shell_opener(args: argparse.Namespace) -> "Opener":
    """Opens links to that device."""
    return _device(args, ())[0]


def rehearse_shell_driver(args: argparse.Namespace, labels: tuple[tuple[str, str], ...]) -> "Rehearsal":
    """What that driver would do, see ``rehearse_device``."""
    from fleetnas_agents.drivers.rehearsal import rehearse_device

    return rehearse_device(*_device(args, labels))


def agent_owner(state_dir: Path) -> str:
    """The same whenever this agent starts, for a folder of state belongs to one agent at a time."""
    return hashlib.sha256(f"{socket.gethostname()}:{state_dir.resolve()}".encode()).hexdigest()[:8]


def _device(
    args: argparse.Namespace, labels: tuple[tuple[str, str], ...]
) -> "tuple[Opener, Profile, ShellOptions]":
    from fleetnas_agents.drivers.shell import ShellOptions

    options = ShellOptions(
        folder=args.device_folder or _FOLDERS[args.driver],
        runner=args.runner,
        cores=parse_cores(args.cores) if args.cores else None,
        thread_count=args.threads,
        labels=labels,
        stand_in=args.stand_in,
        owner=agent_owner(args.state_dir),
    )
    if args.driver == "adb":
        from fleetnas_agents.drivers.adb import AndroidProfile, PhoneFinder

        phone = PhoneFinder(args.serial, connect=args.connect, wait_s=args.wait_s)
        return phone, AndroidProfile(), options
    from fleetnas_agents.drivers.ssh import BoardFinder, BoardProfile
    from fleetnas_agents.shells.ssh import parse_ssh_address

    if not args.ssh:
        raise InvalidArgumentError("--driver ssh reaches a board: say which with --ssh USER@HOST.")
    board = BoardFinder(
        parse_ssh_address(args.ssh),
        key_file=args.key,
        host_key=args.host_key,
        known_hosts=args.known_hosts,
        wait_s=args.wait_s,
    )
    return board, BoardProfile(), options

"""Played devices on the command line of `fleetnas-agent`."""

__all__ = ["ReplaySettings", "add_replay_options", "replay_settings"]

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleetnas_agents.drivers.replay.faults import FaultName, FaultRate, parse_fault
from fleetnas_search_spaces.errors import InvalidArgumentError

_MOST_DEVICES = 10_000


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """What is to be played.

    Attributes:
        table, columns: See ``read_tables``.
        device_count: How many devices, taking turns with the columns.
        noise: Standard deviation of a run's log latency.
        pause_s: How long a measurement takes.
        trace: File for the events of all devices; None for none.
    """

    table: str
    columns: tuple[str, ...] = ()
    device_count: int = 1
    noise: float = 0.01
    pause_s: float = 0.0
    seed: int = 0
    faults: Mapping[FaultName, FaultRate] = field(default_factory=dict)
    labels: tuple[tuple[str, str], ...] = ()
    trace: Path | None = None


def add_replay_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("options of --driver replay")
    group.add_argument(
        "--table",
        help="CSV with the columns arch,latency_ms or arch,DEVICE,.., or a published table: nasbench201, fbnet, "
        "proxyless_pixel1_lut",
    )
    group.add_argument("--columns", default="", metavar="DEVICE[,..]", help="devices to play (default: all)")
    group.add_argument("--devices", type=int, default=1, metavar="N", help="how many to play (default: 1)")
    group.add_argument("--noise", type=float, default=0.01, help="spread of a run (default: 0.01)")
    group.add_argument("--pause-s", type=float, default=0.0, help="length of a measurement, seconds")
    group.add_argument("--seed", type=int, default=0, help="of noise and faults (default: 0)")
    group.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=CHANCE[:SIZE]",
        help=f"what goes wrong in how many jobs: {', '.join(FaultName)}; may be given several times",
    )
    group.add_argument("--trace", type=Path, help="file that gets every event as a JSON line")


def replay_settings(args: argparse.Namespace, labels: tuple[tuple[str, str], ...]) -> ReplaySettings:
    """Raises InvalidArgumentError on a value out of range."""
    if args.table is None:
        raise InvalidArgumentError("--driver replay plays a table: give it with --table FILE.csv.")
    if not 1 <= args.devices <= _MOST_DEVICES:
        raise InvalidArgumentError(f"--devices (={args.devices}) must lie between 1 and {_MOST_DEVICES}.")
    for name in ("noise", "pause_s"):
        if not 0.0 <= getattr(args, name) <= 1e6:
            raise InvalidArgumentError(
                f"--{name.replace('_', '-')} (={getattr(args, name):g}) is none: give a number from zero on."
            )
    return ReplaySettings(
        table=args.table,
        columns=tuple(one for one in args.columns.split(",") if one),
        device_count=args.devices,
        noise=args.noise,
        pause_s=args.pause_s,
        seed=args.seed,
        faults=dict(parse_fault(one) for one in args.fault),
        labels=labels,
        trace=args.trace,
    )

"""What the commands about latency share."""

__all__ = ["opened_table", "opened_target"]

import argparse
from typing import TYPE_CHECKING

from fleetnas_search_spaces.errors import NotFoundError

if TYPE_CHECKING:
    from fleetnas_latency.table import LatencyTable
    from fleetnas_latency.target import Target


def opened_table(args: argparse.Namespace) -> "LatencyTable":
    """The table of ``--table``, which must be there."""
    from fleetnas_latency.table import open_table

    if not args.table.is_file():
        raise NotFoundError(
            f"no latency table at '{args.table}'; a search or 'latency profile' fills one, or give another --table."
        )
    return open_table(args.table)


def opened_target(args: argparse.Namespace) -> "tuple[LatencyTable, Target]":
    """The table of ``--table`` and the one target in it that ``--device`` names."""
    from fleetnas_controller.latency_targets import wanted_target

    table = opened_table(args)
    return table, wanted_target(table, args.device)

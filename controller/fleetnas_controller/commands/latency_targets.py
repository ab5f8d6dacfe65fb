"""What the commands about latency share."""

__all__ = ["DEFAULT_TABLE", "opened_table", "opened_target", "table_to_guess_from"]

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fleetnas_search_spaces.errors import NotFoundError

if TYPE_CHECKING:
    from fleetnas_latency.table import LatencyTable
    from fleetnas_latency.target import Target

DEFAULT_TABLE = Path("runs") / "latency.db"


def opened_table(args: argparse.Namespace) -> "LatencyTable":
    """The table of ``--table``, which must be there, to be read."""
    from fleetnas_latency.table import open_table_to_read

    if not args.table.is_file():
        raise NotFoundError(
            f"no latency table at '{args.table}'; a search or 'latency profile' fills one, or give another --table."
        )
    return open_table_to_read(args.table)


@contextmanager
def table_to_guess_from(args: argparse.Namespace) -> "Iterator[LatencyTable]":
    """The table of ``--table``; an empty one where nobody named a file and nothing was measured yet."""
    from sqlite_utils import Database

    from fleetnas_latency.table import LatencyTable

    unwritten = args.table == DEFAULT_TABLE and not args.table.is_file()
    table = LatencyTable(Database(memory=True)) if unwritten else opened_table(args)
    try:
        yield table
    finally:
        table.close()


def opened_target(args: argparse.Namespace) -> "tuple[LatencyTable, Target]":
    """The table of ``--table`` and the one target in it that ``--device`` names."""
    from fleetnas_controller.latency_targets import wanted_target

    table = opened_table(args)
    return table, wanted_target(table, args.device)

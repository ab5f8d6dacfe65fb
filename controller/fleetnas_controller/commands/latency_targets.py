"""What the commands about latency share: opening the table, finding a target in it."""

__all__ = ["opened_table", "wanted_target"]

import argparse
from typing import TYPE_CHECKING

from fleetnas_search_spaces.errors import NotFoundError, near_names

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


def wanted_target(table: "LatencyTable", wanted: str) -> "Target":
    """The one target that ``wanted`` names: an agent's id, a device model, or a part of the key."""
    targets = table.targets()
    agents = {one.key: {seen.agent for seen in table.observations(one)} for one in targets}
    found = [one for one in targets if wanted in (one.key, one.device_model) or wanted in agents[one.key]]
    found = found or [one for one in targets if wanted.lower() in one.key.lower()]
    if not found:
        known = {name for one in targets for name in (one.key, *agents[one.key])}
        raise NotFoundError(f"no target '{wanted}' in the table; {near_names(wanted, known)}")
    if len(found) > 1:
        raise NotFoundError(
            f"'{wanted}' names {len(found)} targets; give a longer part of one with --device: "
            + ", ".join(one.key for one in found[:6])
        )
    return found[0]

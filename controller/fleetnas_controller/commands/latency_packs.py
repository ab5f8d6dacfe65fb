"""`fleetnas latency packs`, and putting a pack into the table."""

__all__ = ["add_packs_parser", "put_new", "put_pack"]

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fleetnas_latency.exchange.pack import Pack
    from fleetnas_latency.repository import LatencyRepository, Observation
    from fleetnas_latency.target import Target


def add_packs_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    packs = verbs.add_parser(
        "packs",
        help="list the published latencies that come with FleetNAS",
        description="Lists the packs of published latencies in the package. 'latency profile' starts from those of "
        "its space where no device was measured to learn from; 'latency import --pack NAME' puts one in the table.",
        epilog="example:\n  fleetnas latency packs\n  fleetnas latency import --pack fbnet-pixel3\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    packs.add_argument("--json", action="store_true", help="print JSON")
    packs.set_defaults(run=_packs)


def put_new(table: "LatencyRepository", target: "Target", observations: "Sequence[Observation]") -> int:
    """Stores those whose id is not there: importing a file twice is importing it once."""
    known = {one.measurement_id for one in table.observations(target)}
    new = {one.measurement_id: one for one in observations if one.measurement_id not in known}
    return table.put_observations(list(new.values()))


def put_pack(table: "LatencyRepository", pack: "Pack") -> int:
    """Stores what is new of a pack; learned entries only where the table has none of the space.

    Returns:
        How many latencies were new.
    """
    added = put_new(table, pack.target, pack.observations)
    for space in sorted({one.space for one in pack.entries}):
        entries = [one for one in pack.entries if one.space == space]
        if not table.coverage(pack.target, space):
            table.put_entries(pack.target, space, entries)
    return added


def _packs(args: argparse.Namespace) -> int:
    from fleetnas_latency.exchange.shipped import shipped_names, shipped_pack

    rows = [_described(name, shipped_pack(name)) for name in shipped_names()]
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    from fleetnas_controller.commands.printing import print_rows

    head = ["pack", "device", "networks", "blocks", "licence"]
    body = [
        [one["pack"], one["device_model"], str(one["networks"]), str(one["blocks"]), one["licence"]]
        for one in rows
    ]
    print_rows([head, *body], title="published latencies in the package")
    return 0


def _described(name: str, pack: "Pack") -> dict[str, Any]:
    kinds = Counter(str(one.kind) for one in pack.observations)
    return {
        "pack": name,
        "device_model": pack.target.device_model,
        "target": pack.target.key,
        "networks": kinds["network"],
        "blocks": kinds["operator"] + len(pack.entries),
        "licence": pack.licence,
        "origin": pack.origin,
    }

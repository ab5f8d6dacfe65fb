"""`fleetnas latency`: what the learned table knows."""

__all__ = ["add_parsers"]

import argparse
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands.arguments import verb
from fleetnas_controller.commands.latency_files import add_file_parsers
from fleetnas_controller.commands.latency_packs import add_packs_parser
from fleetnas_controller.commands.latency_predict import add_predict_arguments, predict
from fleetnas_controller.commands.latency_profile import add_profile_parser
from fleetnas_controller.commands.latency_targets import DEFAULT_TABLE, opened_table, opened_target

if TYPE_CHECKING:
    from fleetnas_latency.table import LatencyTable
    from fleetnas_latency.target import Target
    from fleetnas_search_spaces.architecture import SearchSpace

_SHOWN_KEYS = 3


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    latency = commands.add_parser("latency", help="ask the learned latency table")
    verbs = latency.add_subparsers(title="commands", metavar="COMMAND", required=True)
    query = _verb(
        verbs,
        "query",
        "show what was measured or learned under a key",
        "latency query 22222222 --device host",
        _query,
    )
    query.add_argument(
        "key", metavar="KEY", help="an architecture, or a block's key as 'latency coverage' shows it"
    )
    add_predict_arguments(
        _verb(
            verbs,
            "predict",
            "predict networks, with intervals",
            "latency predict 22222222 12021020 --device host\n"
            "  fleetnas latency predict 22222222 --device pixel3,rk3288 --explain --html blocks.html",
            predict,
        )
    )
    add_profile_parser(verbs)
    add_file_parsers(verbs, DEFAULT_TABLE)
    add_packs_parser(verbs)
    _verb(verbs, "coverage", "show every block the table knows, and how well", "latency coverage", _coverage)
    _verb(verbs, "targets", "list the targets the table knows", "latency targets", _targets)


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    example: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = verb(verbs, name, text, example, run)
    parser.add_argument(
        "--table", type=Path, default=DEFAULT_TABLE, help="the table's file (default: %(default)s)"
    )
    parser.add_argument(
        "--device",
        default="",
        help="a target: its device's id or model, or part of its key (default: the only one)",
    )
    parser.add_argument("--space", default="nas-bench-macro", help="search space (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _query(args: argparse.Namespace) -> int:
    from fleetnas_search_spaces.errors import InvalidArgumentError

    table, target, space = _opened(args)
    try:
        key = space.canonical(space.parse(args.key)).key
    except InvalidArgumentError:
        key = args.key  # a block's key
    entry = table.query(target, key)
    half_ms = 1.96 * entry.std_ms
    values = {
        "key": entry.key,
        "target": target.key,
        "unit": "ms",
        "mean_ms": entry.mean_ms,
        "low_ms": entry.mean_ms - half_ms,
        "high_ms": entry.mean_ms + half_ms,
        "source": str(entry.source),
        "measurements": entry.count,
        "updated": _time(entry.updated_time),
    }
    if args.json:
        print(json.dumps(values, indent=2))
    else:
        print(
            f"{entry.mean_ms:.4f} ms ({values['low_ms']:.4f} to {values['high_ms']:.4f}, 95 %), {entry.source} from "
            f"{entry.count} measurements, last {values['updated']}, on {target.key}"
        )
    return 0


def _coverage(args: argparse.Namespace) -> int:
    from fleetnas_latency.ageing import DRIFT_LIMIT, anchor_drifts, superseding
    from fleetnas_latency.fitting import keys_of_no_network

    table, target, space = _opened(args)
    strange = keys_of_no_network(table, target, space)
    newer = superseding(table, target)
    drifts = anchor_drifts([one for one in table.observations(target, space.name) if one.verdict == "ok"])
    drifted = sum(drift > DRIFT_LIMIT for drift in drifts.values())
    rows = [
        {
            "key": one.key,
            "mean_ms": one.mean_ms,
            "std_ms": one.std_ms,
            "source": str(one.source),
            "measurements": one.count,
            "updated": _time(one.updated_time),
            "stale": newer is not None,
        }
        for one in table.coverage(target, space.name)
    ]
    if args.json:
        document = {
            "target": target.key,
            "space": space.name,
            "superseded_by": newer.key if newer else None,
            "drifted_measurements": drifted,
            "keys_of_no_network": strange,
            "entries": rows,
        }
        print(json.dumps(document, indent=2))
        return 0
    from fleetnas_controller.commands.printing import print_rows

    head = ["block", "ms", "+-, 95 %", "source", "networks", "updated"]
    print_rows([head, *map(_coverage_row, rows)], title=f"{space.name} on {target.key}")
    device = shlex.quote(args.device or target.device_model)
    again = f"measure again: fleetnas latency profile --space {space.name} --device {device}"
    if newer is not None:
        print(f"all entries are stale: runtime version {newer.runtime_version} was measured later; {again}")
    if drifted:
        print(f"{drifted} of {len(drifts)} measurements were made at another speed of the device; {again}")
    if strange:
        more = f" and {len(strange) - _SHOWN_KEYS} more" if len(strange) > _SHOWN_KEYS else ""
        print(
            f"{len(strange)} keys are of no network of '{space.name}' and teach nothing: "
            f"{', '.join(strange[:_SHOWN_KEYS])}{more}; import them with the --space they are of, or {again}"
        )
    return 0


def _coverage_row(row: dict[str, Any]) -> list[str]:
    source = f"{row['source']}, stale" if row["stale"] else str(row["source"])
    half_ms = f"{1.96 * row['std_ms']:.4f}"
    return [row["key"], f"{row['mean_ms']:.4f}", half_ms, source, str(row["measurements"]), row["updated"]]


def _targets(args: argparse.Namespace) -> int:
    keys = [one.key for one in opened_table(args).targets()]
    print(json.dumps(keys, indent=2) if args.json else "\n".join(keys))
    return 0


def _opened(args: argparse.Namespace) -> "tuple[LatencyTable, Target, SearchSpace]":
    from fleetnas_search_spaces.registry import space

    return *opened_target(args), space(args.space)


def _time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")

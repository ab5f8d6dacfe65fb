"""`fleetnas latency`: what the learned table knows."""

__all__ = ["add_parsers"]

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands.latency_files import add_file_parsers
from fleetnas_controller.commands.latency_profile import add_profile_parser
from fleetnas_controller.commands.latency_targets import opened_table, wanted_target

if TYPE_CHECKING:
    from fleetnas_latency.table import LatencyTable
    from fleetnas_search_spaces.architecture import SearchSpace

_TABLE = Path("runs") / "latency.db"


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
    predict = _verb(
        verbs,
        "predict",
        "predict networks, with intervals",
        "latency predict 22222222 12021020 --device host",
        _predict,
    )
    predict.add_argument(
        "architectures", nargs="+", metavar="ARCH", help="architectures in the space's text form"
    )
    predict.add_argument("--explain", action="store_true", help="show what each block of the network costs")
    add_profile_parser(verbs)
    add_file_parsers(verbs, _TABLE)
    _verb(verbs, "coverage", "show every block the table knows, and how well", "latency coverage", _coverage)
    _verb(verbs, "targets", "list the targets the table knows", "latency targets", _targets)


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    example: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example:\n  fleetnas {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--table", type=Path, default=_TABLE, help="the table's file (default: %(default)s)")
    parser.add_argument(
        "--device",
        default="",
        help="a target: its device's id or model, or part of its key (default: the only one)",
    )
    parser.add_argument("--space", default="nas-bench-macro", help="search space (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def _query(args: argparse.Namespace) -> int:
    from fleetnas_search_spaces.errors import InvalidArgumentError

    table, space = _opened(args)
    target = wanted_target(table, args.device)
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


def _predict(args: argparse.Namespace) -> int:
    from fleetnas_latency.fitting import fit

    table, space = _opened(args)
    target = wanted_target(table, args.device)
    architectures = [space.canonical(space.parse(text)) for text in args.architectures]
    model = fit(table, target, space)
    prediction = model.predict(architectures)
    rows = []
    for one, mean, std in zip(architectures, prediction.mean_ms, prediction.std_ms, strict=True):
        row: dict[str, Any] = {
            "architecture": space.format(one),
            "mean_ms": float(mean),
            "low_ms": float(mean - 1.96 * std),
            "high_ms": float(mean + 1.96 * std),
            "source": "predicted",
        }
        if args.explain:
            shares = model.explain(one)
            row["blocks"] = [
                {"block": _block_name(share.operator), "mean_ms": share.mean_ms, "std_ms": share.std_ms}
                for share in shares
            ]
        rows.append(row)
    if args.json:
        document = {"target": target.key, "networks_measured": model.network_count, "predictions": rows}
        print(json.dumps(document, indent=2))
        return 0
    print(f"predicted from {model.network_count} measured networks on {target.key}")
    for row in rows:
        print(
            f"{row['architecture']}: {row['mean_ms']:.4f} ms ({row['low_ms']:.4f} to {row['high_ms']:.4f}, 95 %)"
        )
        _print_bars(row.get("blocks", ()))
    return 0


def _coverage(args: argparse.Namespace) -> int:
    table, space = _opened(args)
    target = wanted_target(table, args.device)
    entries = table.coverage(target, space.name)
    rows = [
        {
            "key": one.key,
            "mean_ms": one.mean_ms,
            "std_ms": one.std_ms,
            "source": str(one.source),
            "measurements": one.count,
            "updated": _time(one.updated_time),
        }
        for one in entries
    ]
    if args.json:
        print(json.dumps({"target": target.key, "space": space.name, "entries": rows}, indent=2))
        return 0
    from fleetnas_controller.commands.printing import print_rows

    head = ["block", "ms", "+-, 95 %", "source", "networks", "updated"]
    body = [
        [
            one.key,
            f"{one.mean_ms:.4f}",
            f"{1.96 * one.std_ms:.4f}",
            str(one.source),
            str(one.count),
            _time(one.updated_time),
        ]
        for one in entries
    ]
    print_rows([head, *body], title=f"{space.name} on {target.key}")
    return 0


def _targets(args: argparse.Namespace) -> int:
    table, _ = _opened(args)
    keys = [one.key for one in table.targets()]
    print(json.dumps(keys, indent=2) if args.json else "\n".join(keys))
    return 0


def _opened(args: argparse.Namespace) -> "tuple[LatencyTable, SearchSpace]":
    from fleetnas_search_spaces.registry import space

    return opened_table(args), space(args.space)


def _block_name(operator: Any) -> str:
    from fleetnas_latency.operator_text import operator_key

    return "overhead" if operator is None else operator_key(operator)


def _print_bars(blocks: Sequence[dict[str, Any]]) -> None:
    """One bar for each block, the longest 40 characters."""
    longest = max((one["mean_ms"] for one in blocks), default=0.0)
    for one in blocks:
        bar = "#" * max(0, round(40 * one["mean_ms"] / longest)) if longest > 0.0 else ""
        print(f"  {one['mean_ms']:8.4f} ms +-{1.96 * one['std_ms']:.4f} {bar:40} {one['block']}")


def _time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")

"""`fleetnas latency`: what the learned table knows."""

__all__ = ["add_parsers"]

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands.latency_bars import print_bars
from fleetnas_controller.commands.latency_files import add_file_parsers
from fleetnas_controller.commands.latency_onnx import predict_onnx
from fleetnas_controller.commands.latency_packs import add_packs_parser
from fleetnas_controller.commands.latency_profile import add_profile_parser
from fleetnas_controller.commands.latency_targets import opened_table, opened_target

if TYPE_CHECKING:
    from fleetnas_latency.table import LatencyTable
    from fleetnas_latency.target import Target
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
        "architectures",
        nargs="+",
        metavar="ARCH",
        help="architectures in the space's text form, or one FILE.onnx",
    )
    predict.add_argument("--explain", action="store_true", help="show what each block of the network costs")
    add_profile_parser(verbs)
    add_file_parsers(verbs, _TABLE)
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


def _predict(args: argparse.Namespace) -> int:
    from fleetnas_latency.fitting import fit

    if any(text.endswith(".onnx") for text in args.architectures):
        return predict_onnx(args)
    table, target, space = _opened(args)
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
        print_bars([(one["block"], one["mean_ms"], one["std_ms"]) for one in row.get("blocks", ())])
    return 0


def _coverage(args: argparse.Namespace) -> int:
    from fleetnas_latency.ageing import DRIFT_LIMIT, anchor_drifts, superseding

    table, target, space = _opened(args)
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
            "entries": rows,
        }
        print(json.dumps(document, indent=2))
        return 0
    from fleetnas_controller.commands.printing import print_rows

    head = ["block", "ms", "+-, 95 %", "source", "networks", "updated"]
    print_rows([head, *map(_coverage_row, rows)], title=f"{space.name} on {target.key}")
    again = f"measure again: fleetnas latency profile --space {space.name} --device {target.device_model}"
    if newer is not None:
        print(f"all entries are stale: runtime version {newer.runtime_version} was measured later; {again}")
    if drifted:
        print(f"{drifted} of {len(drifts)} measurements were made at another speed of the device; {again}")
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


def _block_name(operator: Any) -> str:
    from fleetnas_latency.operator_text import operator_key

    return "overhead" if operator is None else operator_key(operator)


def _time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")

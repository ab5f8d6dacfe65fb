"""`fleetnas latency predict`."""

__all__ = ["add_predict_arguments", "predict"]

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands.latency_bars import print_bars
from fleetnas_controller.commands.latency_onnx import predict_onnx, read_onnx_argument
from fleetnas_controller.commands.latency_targets import table_to_guess_from
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from fleetnas_search_spaces.whole_files import write_whole

if TYPE_CHECKING:
    from fleetnas_latency.table import LatencyTable
    from fleetnas_latency.target import Target
    from fleetnas_search_spaces.architecture import SearchSpace

_SHOWN_LENDERS = 4


def add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "architectures",
        nargs="+",
        metavar="ARCH",
        help="architectures in the space's text form, or one FILE.onnx",
    )
    parser.add_argument("--explain", action="store_true", help="show what each block of the network costs")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="with --explain: write the blocks of all devices as a page"
    )


def predict(args: argparse.Namespace) -> int:
    """Several devices (``--device A,B``) give one answer after the other."""
    from fleetnas_search_spaces.registry import space

    foreign = any(text.endswith(".onnx") for text in args.architectures)
    if args.html is not None and (foreign or not args.explain):
        raise InvalidArgumentError(
            "--html shows the blocks of a space's networks: give ARCH and --explain with it."
        )
    if foreign:
        return _predict_file(args)
    return _predict_by_blocks(args, space(args.space))


def _predict_file(args: argparse.Namespace) -> int:
    """A file that FleetNAS wrote by its blocks, where those can be predicted there; else by its operators."""
    summary = read_onnx_argument(args)
    written = _written(summary.architecture_key)
    if written is None:
        return predict_onnx(args, summary)
    space, text = written
    own = argparse.Namespace(**{**vars(args), "architectures": [text], "space": space.name})
    try:
        status = _predict_by_blocks(own, space)
    except (FailedPreconditionError, NotFoundError):
        return predict_onnx(args, summary)
    print(f"note: '{args.architectures[0]}' says that it is {text} of {space.name}", file=sys.stderr)
    return status


def _written(key: str) -> "tuple[SearchSpace, str] | None":
    """The space and the text form of an architecture's key; None where no space here knows it."""
    from fleetnas_latency.operator_text import architecture_of_space
    from fleetnas_search_spaces.registry import space

    try:
        found = space(key.partition("/")[0])
    except NotFoundError:
        return None
    architecture = architecture_of_space(key, found)
    return None if architecture is None else (found, found.format(architecture))


def _predict_by_blocks(args: argparse.Namespace, wanted: "SearchSpace") -> int:
    with table_to_guess_from(args) as table:
        names = [name.strip() for name in args.device.split(",")]
        documents = [_document(args, table, name, wanted) for name in names]
    for one in documents:
        if "missing" in one:
            print(f"warning: {one['missing']}", file=sys.stderr)
    if args.html is not None:
        _write_page(args.html, documents)
    if args.json:
        print(json.dumps(documents[0] if len(documents) == 1 else {"devices": documents}, indent=2))
        return 0
    for document in documents:
        _print(document)
    return 0


def _document(
    args: argparse.Namespace, table: "LatencyTable", device: str, space: "SearchSpace"
) -> dict[str, Any]:
    from fleetnas_controller.latency_targets import known_devices, unknown_device_warning
    from fleetnas_latency.exchange.shipped import shipped_packs_of
    from fleetnas_latency.few_shot.best_model import best_model

    target, missing = _target(table, device)
    asked = [space.parse(text) for text in args.architectures]
    architectures = [space.canonical(one) for one in asked]
    try:
        model = best_model(table, target, space, lambda: shipped_packs_of(space.name))
    except FailedPreconditionError as error:
        raise missing or error from None
    prediction = model.predict(architectures)
    rows = []
    for index, (one, known) in enumerate(zip(architectures, model.known_shares(architectures), strict=True)):
        row: dict[str, Any] = {
            "architecture": space.format(one),
            "asked": space.format(asked[index]),
            "mean_ms": float(prediction.mean_ms[index]),
            "low_ms": float(prediction.low_ms[index]),
            "high_ms": float(prediction.high_ms[index]),
            "source": "guessed" if model.guessed else "predicted",
            "shares": {"known": known, "guessed": 1.0 - known, "unknown": 0.0},
        }
        if args.explain:
            row["blocks"] = [
                {"block": _block_name(share.operator), "mean_ms": share.mean_ms, "std_ms": share.std_ms}
                for share in model.explain(one)
            ]
        rows.append(row)
    document: dict[str, Any] = {
        "target": device or "an unnamed device" if target is None else target.key,
        "networks_measured": model.network_count,
        "lenders": list(model.lenders),
        "predictions": rows,
    }
    if missing is not None:
        names = known_devices(table)
        document["missing"] = unknown_device_warning(device, names, model.lenders)
        document["known_devices"] = list(names)
    if model.forecast is not None:
        document["forecast"] = {
            "more_measurements": model.forecast.more_count,
            "median_error": model.forecast.now,
            "foreseen_median_error": model.forecast.later,
            "command": f"fleetnas latency profile --space {space.name} --device "
            f"{shlex.quote(device or 'host')} --budget {model.forecast.more_count}",
        }
    return document


def _target(table: "LatencyTable", device: str) -> "tuple[Target | None, NotFoundError | None]":
    """The target, or why there is none."""
    from fleetnas_controller.latency_targets import wanted_target

    try:
        return wanted_target(table, device), None
    except NotFoundError as error:
        return None, error


def _print(document: dict[str, Any]) -> None:
    count, lenders = document["networks_measured"], document["lenders"]
    if not count:
        print(f"a guess, nothing of the space was measured on {document['target']}: from {_named(lenders)}")
    else:
        lent = f" and {_named(lenders)}" if lenders else ""
        print(f"predicted from {count} measured networks on {document['target']}{lent}")
    for row in document["predictions"]:
        print(
            f"{_title(row)}: {row['mean_ms']:.4f} ms ({row['low_ms']:.4f} to {row['high_ms']:.4f}, 95 %)"
            f", {100 * row['shares']['known']:.0f} % of it in blocks measured there"
        )
        print_bars([(one["block"], one["mean_ms"], one["std_ms"]) for one in row.get("blocks", ())])
    if "forecast" in document:
        foreseen = document["forecast"]
        print(
            f"{foreseen['more_measurements']} more measurements would lower the expected median error from "
            f"{100 * foreseen['median_error']:.1f} to {100 * foreseen['foreseen_median_error']:.1f} %: "
            f"{foreseen['command']}"
        )


def _title(row: dict[str, Any]) -> str:
    """As it was asked for, and the network that is computed instead."""
    if row["asked"] == row["architecture"]:
        return str(row["asked"])
    return f"{row['asked']} (computes what {row['architecture']} does)"


def _named(lenders: list[str]) -> str:
    shown = ", ".join(lenders[:_SHOWN_LENDERS])
    more = f" and {len(lenders) - _SHOWN_LENDERS} more" if len(lenders) > _SHOWN_LENDERS else ""
    return f"{len(lenders)} other devices ({shown}{more})"


def _write_page(path: Path, documents: list[dict[str, Any]]) -> None:
    from fleetnas_controller.report.explanation import render_explanations
    from fleetnas_controller.storage import storage_errors

    with storage_errors(path.parent):
        write_whole(path, render_explanations(documents).encode())


def _block_name(operator: Any) -> str:
    from fleetnas_latency.operator_text import operator_key

    return "overhead" if operator is None else operator_key(operator)

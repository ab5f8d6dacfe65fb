"""`fleetnas latency predict`."""

__all__ = ["add_predict_arguments", "predict"]

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands.latency_bars import print_bars
from fleetnas_controller.commands.latency_onnx import predict_onnx
from fleetnas_controller.commands.latency_targets import opened_table
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.whole_files import write_whole

if TYPE_CHECKING:
    from fleetnas_latency.table import LatencyTable
    from fleetnas_latency.target import Target
    from fleetnas_search_spaces.architecture import SearchSpace


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
    from fleetnas_controller.latency_targets import wanted_target
    from fleetnas_search_spaces.registry import space

    foreign = any(text.endswith(".onnx") for text in args.architectures)
    if args.html is not None and (foreign or not args.explain):
        raise InvalidArgumentError(
            "--html shows the blocks of a space's networks: give ARCH and --explain with it."
        )
    if foreign:
        return predict_onnx(args)
    table = opened_table(args)
    targets = [wanted_target(table, name.strip()) for name in args.device.split(",")]
    documents = [_document(args, table, one, space(args.space)) for one in targets]
    if args.html is not None:
        _write_page(args.html, documents)
    if args.json:
        print(json.dumps(documents[0] if len(documents) == 1 else {"devices": documents}, indent=2))
        return 0
    for document in documents:
        _print(document)
    return 0


def _document(
    args: argparse.Namespace, table: "LatencyTable", target: "Target", space: "SearchSpace"
) -> dict[str, Any]:
    from fleetnas_latency.fitting import fit

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
            row["blocks"] = [
                {"block": _block_name(share.operator), "mean_ms": share.mean_ms, "std_ms": share.std_ms}
                for share in model.explain(one)
            ]
        rows.append(row)
    return {"target": target.key, "networks_measured": model.network_count, "predictions": rows}


def _print(document: dict[str, Any]) -> None:
    print(f"predicted from {document['networks_measured']} measured networks on {document['target']}")
    for row in document["predictions"]:
        print(
            f"{row['architecture']}: {row['mean_ms']:.4f} ms ({row['low_ms']:.4f} to {row['high_ms']:.4f}, 95 %)"
        )
        print_bars([(one["block"], one["mean_ms"], one["std_ms"]) for one in row.get("blocks", ())])


def _write_page(path: Path, documents: list[dict[str, Any]]) -> None:
    from fleetnas_controller.report.explanation import render_explanations
    from fleetnas_controller.storage import storage_errors

    with storage_errors(path.parent):
        write_whole(path, render_explanations(documents).encode())


def _block_name(operator: Any) -> str:
    from fleetnas_latency.operator_text import operator_key

    return "overhead" if operator is None else operator_key(operator)

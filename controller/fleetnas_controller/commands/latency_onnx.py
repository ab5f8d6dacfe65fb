"""`fleetnas latency predict FILE.onnx`: a network that is in no space."""

__all__ = ["predict_onnx"]

import argparse
import json
from pathlib import Path

from fleetnas_controller.commands.latency_targets import opened_target
from fleetnas_search_spaces.errors import InvalidArgumentError


def predict_onnx(args: argparse.Namespace) -> int:
    """One file; its operators are looked up or guessed."""
    from fleetnas_latency.foreign_network import Knowledge, predict_operators
    from fleetnas_search_spaces.read_onnx import read_onnx

    if len(args.architectures) != 1:
        raise InvalidArgumentError("an ONNX file is predicted alone: give one file and nothing beside it.")
    file = Path(args.architectures[0])
    if not file.is_file():
        raise InvalidArgumentError(f"no file '{file}'.")
    table, target = opened_target(args)
    summary = read_onnx(file)
    found = predict_operators(table, target, summary.operators)
    half_ms = 1.96 * found.std_ms
    shares = {str(one): found.share_of(one) for one in Knowledge}
    document = {
        "target": target.key,
        "file": str(file),
        "architecture": summary.architecture_key or None,
        "mean_ms": found.mean_ms,
        "low_ms": max(found.mean_ms - half_ms, 0.0),
        "high_ms": found.mean_ms + half_ms,
        "shares": shares,
        "operators": [
            {"name": one.name, "knowledge": str(one.knowledge), "mean_ms": one.mean_ms, "std_ms": one.std_ms}
            for one in found.shares
        ],
    }
    if args.json:
        print(json.dumps(document, indent=2))
        return 0
    print(
        f"{file}: {found.mean_ms:.4f} ms ({document['low_ms']:.4f} to {document['high_ms']:.4f}, 95 %) on "
        f"{target.key}; of it {100 * shares['known']:.0f} % known, {100 * shares['guessed']:.0f} % guessed, "
        f"{100 * shares['unknown']:.0f} % of kinds FleetNAS has no word for"
    )
    if summary.architecture_key:
        print(f"it is {summary.architecture_key}: predicting that by its blocks is surer")
    if args.explain:
        from fleetnas_controller.commands.latency_bars import print_bars

        print_bars([(f"{one.name}, {one.knowledge}", one.mean_ms, one.std_ms) for one in found.shares])
    return 0

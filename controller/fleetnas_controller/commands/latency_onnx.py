"""`fleetnas latency predict FILE.onnx`: a network that is in no space."""

__all__ = ["predict_onnx", "read_onnx_argument"]

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fleetnas_controller.commands.latency_targets import table_to_guess_from
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from fleetnas_latency.table import LatencyTable
    from fleetnas_latency.target import Target
    from fleetnas_search_spaces.read_onnx import OnnxSummary


def read_onnx_argument(args: argparse.Namespace) -> "OnnxSummary":
    """Raises InvalidArgumentError where there is more than one argument, or it is no ONNX file."""
    from fleetnas_search_spaces.read_onnx import read_onnx

    if len(args.architectures) != 1:
        raise InvalidArgumentError("an ONNX file is predicted alone: give one file and nothing beside it.")
    file = Path(args.architectures[0])
    if not file.is_file():
        raise InvalidArgumentError(f"no file '{file}'.")
    return read_onnx(file)


def predict_onnx(args: argparse.Namespace, summary: "OnnxSummary") -> int:
    """One file; its operators are looked up or guessed, on a device of the table or of a pack of operators."""
    from fleetnas_latency.foreign_network import Knowledge, predict_operators
    from fleetnas_latency.target import PUBLISHED

    file = args.architectures[0]
    with _table_of(args) as (table, target):
        found = predict_operators(table, target, summary.operators)
    half_ms = 1.96 * found.std_ms
    shares = {str(one): found.share_of(one) for one in Knowledge}
    document = {
        "target": target.key,
        "file": file,
        "architecture": summary.architecture_key or None,
        "taken_as_one_image": list(summary.one_image),
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
    if target.stand_in == PUBLISHED:
        print("its operators' latencies were published by others, nothing was measured here")
    for name in summary.one_image:
        print(f"the open first size of its input '{name}' is taken as 1")
    if args.explain:
        from fleetnas_controller.commands.latency_bars import print_bars

        print_bars([(f"{one.name}, {one.knowledge}", one.mean_ms, one.std_ms) for one in found.shares])
    return 0


@contextmanager
def _table_of(args: argparse.Namespace) -> "Iterator[tuple[LatencyTable, Target]]":
    """The table and the target that ``--device`` names; where it knows none, those of a published pack of operators.

    Raises:
        NotFoundError: Neither has it; the published devices are named.
    """
    from fleetnas_controller.latency_targets import wanted_target

    with table_to_guess_from(args) as table:
        try:
            target = wanted_target(table, args.device)
        except NotFoundError as error:
            missing = error
        else:
            yield table, target
            return
    with _published(args.device, missing) as found:
        yield found


@contextmanager
def _published(device: str, missing: NotFoundError) -> "Iterator[tuple[LatencyTable, Target]]":
    from sqlite_utils import Database

    from fleetnas_latency.exchange.shipped import shipped_operator_packs
    from fleetnas_latency.table import LatencyTable

    packs = {one.target.device_model: one for one in shipped_operator_packs()}
    if device not in packs:
        raise NotFoundError(
            f"{missing}. A file of no space is predicted by its operators, which are published of {', '.join(packs)} "
            "only: give one of these as --device, or 'latency import' operators of yours."
        )
    table = LatencyTable(Database(memory=True))
    try:
        table.put_observations(packs[device].observations)
        yield table, packs[device].target
    finally:
        table.close()

"""Writes the latency packs of the package from the public tables in ``FLEETNAS_DATA``.

    FLEETNAS_DATA=../shared/data python benchmarks/make_latency_packs.py

A pack of a space holds some of the published networks and what its blocks cost, learned from all of them. In
NAS-Bench-201 only cells without dead edges count: the published devices ran these, an exported network does not.
"""

__all__ = ["main"]

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import csv
import gzip
import io
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from fewshot_table import read_latency_csv

from fleetnas_latency.exchange.pack import Pack, write_pack
from fleetnas_latency.exchange.paddle_files import read_paddle
from fleetnas_latency.exchange.records import FileRecord, observations_of
from fleetnas_latency.few_shot.cell_structure import CellStructure
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.few_shot_model import FewShotModel
from fleetnas_latency.few_shot.source_prior import believed_from_features
from fleetnas_latency.fitting import learned_entries
from fleetnas_latency.target import Target
from fleetnas_search_spaces.blocks import inverted_residual
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind
from fleetnas_search_spaces.registry import space

OUT = Path(__file__).parents[1] / "latency" / "fleetnas_latency" / "packs"
NOW = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
HELP = "github.com/HayeonLee/HELP, commit 45f70eb92d0d735970a33b608d1544ad3c52f285, data/{}/latency"
KEPT, LEARNED = 300, 2000
LEAST_MS = 0.1


def main() -> int:
    data = Path(os.environ.get("FLEETNAS_DATA", "../shared/data"))
    OUT.mkdir(exist_ok=True)
    for name, pack in _packs(data):
        path = OUT / f"{name}.json.gz"
        path.write_bytes(gzip.compress(write_pack(pack).encode(), mtime=0))
        print(
            f"{name}: {len(pack.observations)} latencies, {len(pack.entries)} entries, {path.stat().st_size} bytes"
        )
    return 0


def _packs(data: Path) -> Iterator[tuple[str, Pack]]:
    yield "pixel1-blocks", _pixel1(data / "proxyless_pixel1_lut" / "pixel1_lut.csv")
    yield "snapdragon855-convolutions", _snapdragon(data / "paddle_lite_blazeface_855" / "latency_855.txt")
    yield from _columns("fbnet", "arch", data / "fbnet" / "fbnet_latency_ms.csv.gz", HELP.format("fbnet"))
    cells = data / "nasbench201" / "latency_ms.csv.gz"
    yield from _columns("nas-bench-201", "index", cells, HELP.format("nasbench201"))


def _pixel1(path: Path) -> Pack:
    target = Target("pixel1", "tflite", "unknown", statistic="published", stand_in="published")
    records = [one for row in csv.DictReader(io.StringIO(path.read_text())) if (one := _block(row))]
    origin = (
        "github.com/itouchz/Neural-Predictor-Tensorflow, commit a660b8a35082a9defef764e591d6901160c367ae, "
        "proxylessnas/pixel_trim.yaml, a part of ProxylessNAS's latency table; the classifier is left out"
    )
    return Pack(target, observations_of(records, target, NOW), (), origin, "MIT")


def _block(row: dict[str, str]) -> FileRecord | None:
    side, _, channels = (int(one) for one in row["input"].split("x"))
    out_channels = int(row["output"].split("x")[-1])
    mean_ms = float(row["mean_ms"])
    half_width = 1.96 * math.sqrt(float(row["var_ms2"]) / int(row["count"])) / mean_ms
    if row["op"] == "Logits":  # pooling and a linear layer in one: no block of ours
        return None
    if row["op"] == "expanded_conv":
        operator = inverted_residual(
            channels, out_channels, side, kernel_px=int(row["kernel"]), stride=int(row["stride"]),
            expansion=int(row["expand"]), activation=Activation.RELU6, residual=row["idskip"] == "1",
        )  # fmt: skip
        if operator.expansion == 1:  # ProxylessNAS leaves the expansion out there
            operator = replace(operator, kind=OperatorKind.SEPARABLE)
    elif row["op"] == "Conv":
        operator = Operator(
            OperatorKind.STEM, channels, out_channels, side, kernel_px=3, stride=2, padding_px=1,
            activation=Activation.RELU6, batch_norm=True,
        )  # fmt: skip
    else:
        operator = Operator(
            OperatorKind.CONV, channels, out_channels, side, activation=Activation.RELU6, batch_norm=True
        )
    return replace(FileRecord.of_operator(operator, mean_ms), half_width=half_width)


def _snapdragon(path: Path) -> Pack:
    target = Target("snapdragon855", "paddle-lite", "unknown", statistic="published", stand_in="published")
    origin = (
        "github.com/PaddlePaddle/PaddleDetection, commit 4b7acd6dd078d4e1944c8e4932d8de6568b111bf, "
        "slim/nas/latency_855.txt"
    )
    return Pack(target, observations_of(read_paddle(path.read_text()), target, NOW), (), origin, "Apache-2.0")


def _columns(space_name: str, column: str, path: Path, origin: str) -> Iterator[tuple[str, Pack]]:
    wanted = space(space_name)
    structure = ChainStructure(wanted)
    cells = CellStructure(wanted) if space_name == "nas-bench-201" else None
    table = read_latency_csv(path, cells or structure, column)
    alive = (table.rows[0] == table.rows[3]).all(axis=1) if cells else np.ones(len(table.architectures), bool)
    order = np.random.default_rng(0).permutation(np.flatnonzero(alive))
    for device, latency_ms in sorted(table.latency_ms.items()):
        usable = [int(one) for one in order if latency_ms[one] >= LEAST_MS][:LEARNED]
        networks = [wanted.canonical(table.architectures[index]) for index in usable]
        rows = structure.rows(networks)
        believed = believed_from_features(structure, rows)
        model = FewShotModel(structure, lambda believed=believed: believed)  # type: ignore[misc]
        model.observe(networks, latency_ms[usable], np.zeros(len(usable)))
        target = Target(device, "unknown", "unknown", statistic="published", stand_in="published")
        entries = tuple(_rounded(one) for one in learned_entries(model, NOW))
        records = [
            FileRecord(one.key, round(float(latency_ms[index]), 4), space=space_name)
            for one, index in zip(networks[:KEPT], usable, strict=False)
        ]
        distinct = {one.key: one for one in records}
        yield (
            f"{space_name}-{device}",
            Pack(target, observations_of(list(distinct.values()), target, NOW), entries, origin, "MIT"),
        )


def _rounded(entry):  # type: ignore[no-untyped-def]
    """Six digits: what more says nothing and compresses badly."""
    return replace(entry, mean_ms=float(f"{entry.mean_ms:.6g}"), std_ms=float(f"{entry.std_ms:.6g}"))


if __name__ == "__main__":
    sys.exit(main())

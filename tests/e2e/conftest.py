import csv
import gzip
from importlib.resources import files
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def made_up_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up latency of every network of NAS-Bench-Macro: proportional to its MACs, for tests only."""
    path = tmp_path_factory.mktemp("table") / "made_up.csv"
    content = files("fleetnas_training.published").joinpath("nas_bench_macro_cifar10.csv.gz").read_bytes()
    rows = csv.DictReader(gzip.decompress(content).decode().splitlines())
    lines = [f"{row['arch']},{0.1 + int(row['flops']) / 40e6:.5f}" for row in rows]
    path.write_text("\n".join(["arch,latency_ms", *lines]) + "\n", encoding="utf-8")
    return path

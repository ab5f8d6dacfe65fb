"""Published latency tables, as what a played device answers from."""

__all__ = ["DATA_VARIABLE", "ReplayTable", "read_tables"]

import csv
import gzip
import math
import os
import statistics
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetnas_agents.jobs import FaultKind, MeasureError
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError, near_names

DATA_VARIABLE = "FLEETNAS_DATA"
_PUBLISHED = {
    "nasbench201": "nasbench201/latency_ms.csv.gz",
    "fbnet": "fbnet/fbnet_latency_ms.csv.gz",
    "proxyless_pixel1_lut": "proxyless_pixel1_lut/pixel1_lut.csv",
}
_PART_COLUMN = "mean_ms"
_PART_DEVICE = "pixel1"
# What rows are named by: the first of these that a table has.
_KEY_COLUMNS = ("arch", "key", "index")

_Row = Mapping[str, str]
_ANCHOR = "anchor-"
_ENCODING = "utf-8-sig"  # spreadsheets begin a file with a mark
_UNREADABLE = (OSError, EOFError, zlib.error, csv.Error, KeyError, ValueError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class ReplayTable:
    """The latencies of one device.

    Attributes:
        device_model: Name of the device's column, or of the file where there is no other.
        latency_ms: By architecture (``"4,2,1,2,1,1"``), or by part of a network.
        additive: Whether the keys are parts of a network, whose latencies add up.
    """

    device_model: str
    latency_ms: Mapping[str, float]
    additive: bool = False

    def lookup(self, key: str) -> float:
        """Latency of an architecture, or of a network given as its parts with commas between, milliseconds.

        Raises:
            MeasureError: The table lacks it; a fault of the model.
        """
        if key.startswith(_ANCHOR):
            # The controller's health checks measure a network that no published table has.
            return statistics.median(self.latency_ms.values())
        parts = key.split(",") if self.additive else [key]
        missing = [part for part in parts if part not in self.latency_ms]
        if missing:
            text = f"the table {self.device_model} has no architecture '{missing[0]}'."
            raise MeasureError(FaultKind.MODEL, text)
        return sum(self.latency_ms[part] for part in parts)


def read_tables(table: str, columns: Sequence[str] = ()) -> tuple[ReplayTable, ...]:
    """The devices of a table.

    Args:
        table: A CSV file (``.gz`` or not) with the columns ``arch,latency_ms`` or ``arch,DEVICE,DEVICE,..``, or the
            name of a published one: ``nasbench201``, ``fbnet``, ``proxyless_pixel1_lut``.
        columns: Devices to play, by column; none means all.

    Raises:
        NotFoundError: No such file or column.
        InvalidArgumentError: It is no such table.
    """
    path = _place(table)
    name = path.name.partition(".")[0]
    try:
        fields, rows = _read(path)
        key = next((one for one in _KEY_COLUMNS if one in fields), "")
        if not key:
            raise ValueError(f"its columns are {', '.join(fields)[:200] or 'none'}")
        key_of = _key_reader(path, key)
        if key == "key":
            return (_device(_PART_DEVICE, _PART_COLUMN, rows, key_of, additive=True),)
        if "latency_ms" in fields and not columns:
            return (_device(name, "latency_ms", _all_positive(rows), key_of),)
        wanted = _columns(name, columns, [one for one in fields if one != key])
        return tuple(_device(one, one, rows, key_of) for one in wanted)
    except FileNotFoundError as error:
        raise NotFoundError(f"no table '{error.filename}' to replay. Check the path.") from None
    except _UNREADABLE as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise InvalidArgumentError(
            f"'{table}' is no latency table: a CSV with the columns arch and latency_ms is ({error})."
        ) from error


def _place(table: str) -> Path:
    """The file of a published table by its name, or the file as it is named."""
    if table not in _PUBLISHED or Path(table).exists():
        return Path(table)
    beside = Path(__file__).resolve().parents[4].parent / "shared" / "data"
    folder = Path(os.environ.get(DATA_VARIABLE) or beside)
    path = folder / _PUBLISHED[table]
    if not path.is_file():
        raise NotFoundError(
            f"the published table '{table}' is not in '{folder}'. Set {DATA_VARIABLE} to the data folder."
        )
    return path


def _read(path: Path) -> tuple[Sequence[str], Sequence[_Row]]:
    with (
        gzip.open(path, "rt", newline="", encoding=_ENCODING)
        if path.suffix == ".gz"
        else path.open(newline="", encoding=_ENCODING)
    ) as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        return list(reader.fieldnames or ()), rows


def _key_reader(path: Path, key: str) -> Callable[[_Row], str]:
    """How a row names its architecture; NAS-Bench-201 keeps the edges of an index in another file."""
    edges: dict[str, str] = {}
    if key == "index" and (path.parent / "accuracy.csv.gz").is_file():
        edges = {row["index"]: row["edges"] for row in _read(path.parent / "accuracy.csv.gz")[1]}

    def read(row: _Row) -> str:
        text = edges[row[key]] if edges else row[key].strip()
        return ",".join(text) if text.isdigit() and (edges or key == "arch") else text

    return read


def _columns(name: str, wanted: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    for one in wanted:
        if one not in known:
            raise NotFoundError(f"the table {name} has no device '{one}'; {near_names(one, known)}")
    return wanted or known


def _all_positive(rows: Sequence[_Row]) -> Sequence[_Row]:
    """In a table of one's own a latency that is none is a mistake."""
    for number, row in enumerate(rows, start=2):
        if not 0.0 < float(row["latency_ms"]) < math.inf:
            raise ValueError(f"line {number} says {row['latency_ms']} ms")
    return rows


def _device(
    model: str, column: str, rows: Iterable[_Row], key_of: Callable[[_Row], str], *, additive: bool = False
) -> ReplayTable:
    # Some published entries are zero: the network was cut from its input. They are no latency.
    found: dict[str, float] = {}
    for number, row in enumerate(rows, start=2):
        key, value = key_of(row), float(row[column])
        if value > 0.0 and found.setdefault(key, value) != value:
            raise InvalidArgumentError(
                f"line {number} says {value} ms of '{key[:80]}', which has {found[key]} ms above: a table to replay "
                "has one latency a network."
            )
    if not found:
        raise InvalidArgumentError(
            f"the table of '{model}' holds no latency: give a CSV with the columns arch,latency_ms."
        )
    return ReplayTable(model, found, additive)

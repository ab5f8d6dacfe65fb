"""CSV: a row a latency. Columns ``key`` or ``arch``, and one whose name ends with its unit."""

__all__ = ["COLUMNS", "read_csv", "read_rows", "row_of", "write_csv"]

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from fleetnas_latency.exchange.paddle_keys import PADDLE_PREFIX
from fleetnas_latency.exchange.records import FileRecord, Unit
from fleetnas_latency.operator_text import operator_from_json, operator_to_json
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError

COLUMNS = ("kind", "key", "space", "latency_ms", "half_width", "operator_json")


def row_of(record: FileRecord) -> dict[str, str]:
    """The record's text in each of ``COLUMNS``; what it has not is empty."""
    return {
        "kind": "network" if record.space else "operator",
        "key": record.key,
        "space": record.space,
        "latency_ms": repr(record.latency_ms),
        "half_width": "" if record.half_width is None else repr(record.half_width),
        "operator_json": "" if record.operator is None else operator_to_json(record.operator),
    }


def write_csv(records: Iterable[FileRecord]) -> str:
    """Every record, nothing left out."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row_of(one) for one in records)
    return stream.getvalue()


def read_csv(text: str, space: SearchSpace, unit: Unit | None = None) -> tuple[FileRecord, ...]:
    """Reads what ``write_csv`` wrote, and tables of networks with columns such as ``arch,latency_ms``.

    Args:
        space: Of the codes in a column ``arch``.
        unit: Of a column ``latency`` without a unit in its name.

    Raises:
        InvalidArgumentError: A column is missing, a value is no number, a code none of the space.
    """
    reader = csv.DictReader(io.StringIO(text))
    return read_rows(reader.fieldnames or (), reader, space, unit)


def read_rows(
    columns: Sequence[str], rows: Iterable[Mapping[str, str]], space: SearchSpace, unit: Unit | None = None
) -> tuple[FileRecord, ...]:
    """As ``read_csv``, of rows from anywhere."""
    value_column, found_unit = _latency_column(columns, unit)
    if "arch" not in columns and "key" not in columns:
        raise InvalidArgumentError(f"the columns are {', '.join(columns)}: one must be 'arch' or 'key'.")
    return tuple(_record(number, row, space, value_column, found_unit) for number, row in enumerate(rows, 2))


def _latency_column(columns: Iterable[str], unit: Unit | None) -> tuple[str, Unit]:
    for name in columns:
        stem, _, ending = name.rpartition("_")
        if stem.startswith(("latency", "mean", "value")) and ending in set(Unit):
            return name, Unit(ending)
        if name == "latency" and unit is not None:
            return name, unit
    raise InvalidArgumentError(
        f"no column of {', '.join(columns)} is a latency with its unit: name one 'latency_ms', 'latency_us' or "
        "'latency_s', or give --unit for a column 'latency'."
    )


def _record(number: int, row: Mapping[str, str], space: SearchSpace, column: str, unit: Unit) -> FileRecord:
    try:
        latency_ms = float(row[column]) * unit.in_ms
        half_width = float(row["half_width"]) if row.get("half_width") else None
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            f"line {number} has '{row[column]}' for '{column}': give a number."
        ) from None
    if row.get("arch"):
        key = space.canonical(space.parse(row["arch"])).key
        return FileRecord(key, latency_ms, space=space.name, half_width=half_width)
    operator = operator_from_json(row["operator_json"]) if row.get("operator_json") else None
    named_space = row.get("space") or ""
    if operator is None and not named_space and not row["key"].startswith(PADDLE_PREFIX):
        raise InvalidArgumentError(
            f"line {number}: '{row['key'][:80]}' has no space and no operator: fill 'space' or 'operator_json'."
        )
    return FileRecord(row["key"], latency_ms, operator, named_space, half_width)

"""CSV: a row a latency. Columns ``key`` or ``arch``, and one whose name ends with its unit."""

__all__ = ["COLUMNS", "read_csv", "read_rows", "row_of", "write_csv"]

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from fleetnas_latency.exchange.paddle_keys import PADDLE_PREFIX
from fleetnas_latency.exchange.records import FileRecord, Unit
from fleetnas_latency.operator_text import architecture_from_key, operator_from_json, operator_to_json
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.choices import check_architecture
from fleetnas_search_spaces.errors import FleetNASError, InvalidArgumentError
from fleetnas_search_spaces.registry import space as space_of

_BYTE_ORDER_MARK = "\ufeff"  # spreadsheets begin a file with it
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
    reader = csv.DictReader(io.StringIO(text.removeprefix(_BYTE_ORDER_MARK)))
    try:
        return read_rows(reader.fieldnames or (), reader, space, unit)
    except csv.Error as error:
        raise InvalidArgumentError(
            f"line {reader.line_num} is no CSV ({error}): look for a quote that never closes."
        ) from None


def read_rows(
    columns: Sequence[str], rows: Iterable[Mapping[str, str]], space: SearchSpace, unit: Unit | None = None
) -> tuple[FileRecord, ...]:
    """As ``read_csv``, of rows from anywhere."""
    value_column, found_unit = _latency_column(columns, unit)
    if "arch" not in columns and "key" not in columns:
        raise InvalidArgumentError(f"the columns are {', '.join(columns)}: one must be 'arch' or 'key'.")
    found = tuple(_record(number, row, space, value_column, found_unit) for number, row in enumerate(rows, 2))
    if not found:
        raise InvalidArgumentError("the file has a head and no row below it: give a latency in each row.")
    return found


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
        found, width = ((row.get(name) or "")[:80] for name in (column, "half_width"))
        raise InvalidArgumentError(
            f"line {number} has '{found}' for '{column}' and '{width}' for 'half_width': the first is a number, the "
            "second a number or nothing."
        ) from None
    if row.get("arch"):
        key = space.canonical(space.parse(row["arch"])).key
        return FileRecord(key, latency_ms, space=space.name, half_width=half_width)
    if not row.get("key"):
        raise InvalidArgumentError(
            f"line {number} names nothing: fill 'arch' or 'key', or leave the line out."
        )
    operator = operator_from_json(row["operator_json"]) if row.get("operator_json") else None
    named_space = row.get("space") or ""
    if operator is None and not named_space and not row["key"].startswith(PADDLE_PREFIX):
        raise InvalidArgumentError(
            f"line {number}: '{row['key'][:80]}' has no space and no operator: fill 'space' or 'operator_json'."
        )
    key = _network_key(number, row["key"], named_space) if named_space else row["key"]
    return FileRecord(key, latency_ms, operator, named_space, half_width)


def _network_key(number: int, key: str, space_name: str) -> str:
    """The canonical network's key; one that is none would block every prediction of the space."""
    try:
        space = space_of(space_name)
        architecture = architecture_from_key(key)
        check_architecture(architecture, space)
    except FleetNASError as error:
        raise InvalidArgumentError(f"line {number}: {error}") from None
    return space.canonical(architecture).key

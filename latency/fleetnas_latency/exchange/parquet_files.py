"""Parquet: the columns of our CSV, numbers as numbers."""

__all__ = ["read_parquet", "write_parquet"]

import io
from collections.abc import Iterable
from typing import Any

from fleetnas_latency.exchange.csv_files import COLUMNS, read_rows, row_of
from fleetnas_latency.exchange.records import FileRecord, Unit
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError

_NUMBERS = ("latency_ms", "half_width")


def write_parquet(records: Iterable[FileRecord]) -> bytes:
    """Every record, nothing left out.

    Raises:
        FailedPreconditionError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    rows = [row_of(one) for one in records]
    columns = {
        name: arrow.array(
            [(float(row[name]) if row[name] else None) if name in _NUMBERS else row[name] for row in rows],
            arrow.float64() if name in _NUMBERS else arrow.string(),
        )
        for name in COLUMNS
    }
    sink = io.BytesIO()
    parquet.write_table(arrow.table(columns), sink, compression="zstd")
    return sink.getvalue()


def read_parquet(content: bytes, space: SearchSpace, unit: Unit | None = None) -> tuple[FileRecord, ...]:
    """Reads what ``write_parquet`` wrote, and tables of networks with columns such as ``arch`` and ``latency_ms``.

    Args:
        space, unit: As of ``csv_files.read_csv``.

    Raises:
        InvalidArgumentError: It is no Parquet, the codes are numbers, or as ``read_csv``.
        FailedPreconditionError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(io.BytesIO(content))
    except (arrow.ArrowException, OSError) as error:
        raise InvalidArgumentError(f"the file is no whole Parquet ({error}): write it again.") from error
    if "arch" in table.column_names and not _is_text(arrow, table.schema.field("arch").type):
        raise InvalidArgumentError(
            "column 'arch' holds no text, leading zeros are lost: write it as strings."
        )
    rows = (
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in table.to_pylist()
    )
    return read_rows(table.column_names, rows, space, unit)


def _is_text(arrow: Any, kind: Any) -> bool:
    """Text, long text, or text as a dictionary, which data frames write for categories."""
    if arrow.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(arrow.types.is_string(kind) or arrow.types.is_large_string(kind))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise FailedPreconditionError(
            "Parquet files need pyarrow, which is not installed: pip install 'fleetnas[parquet]'."
        ) from error
    return pyarrow, parquet

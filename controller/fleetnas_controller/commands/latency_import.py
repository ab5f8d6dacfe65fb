"""`fleetnas latency import`."""

__all__ = ["guessed_format", "import_latencies"]

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fleetnas_controller.commands.latency_packs import put_new, put_pack
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from fleetnas_latency.exchange.pack import Pack
    from fleetnas_latency.exchange.records import FileRecord
    from fleetnas_latency.target import Target

_BY_ENDING = {".json": "pack", ".csv": "csv", ".gz": "csv", ".parquet": "parquet", ".onnx": "onnx"}


def import_latencies(args: argparse.Namespace) -> int:
    """Nothing is stored of a file with a fault in it."""
    if args.format == "choices":
        raise InvalidArgumentError("a table of choices cannot be read back: import a pack or a CSV.")
    if (args.file is None) == (args.pack is None):
        raise InvalidArgumentError(
            "give a FILE or --pack NAME, one of the two; 'latency packs' lists the names."
        )
    content = b"" if args.file is None else _read(args.file)
    packs = _packs(args, content)
    if packs:
        return _import_packs(args, packs)
    return _import_records(args, _records(args, content))


def guessed_format(file: Path, text: str) -> str:
    """By the name, else by the content; without content PaddleSlim's of 2020."""
    if file.suffix in _BY_ENDING:
        return _BY_ENDING[file.suffix]
    return "paddleslim-2020" if "," in text or not text else "paddleslim-2019"


def _packs(args: argparse.Namespace, content: bytes) -> "Sequence[Pack]":
    """What needs no target to be named; empty for a file of single latencies."""
    from fleetnas_latency.exchange.onnx_metadata import read_onnx_latencies
    from fleetnas_latency.exchange.pack import read_pack
    from fleetnas_latency.exchange.shipped import shipped_pack

    if args.pack is not None:
        return (shipped_pack(args.pack),)
    style = args.format or _BY_ENDING.get(args.file.suffix)
    if style == "pack":
        return (read_pack(_text(args.file, content)),)
    return read_onnx_latencies(content) if style == "onnx" else ()


def _import_packs(args: argparse.Namespace, packs: "Sequence[Pack]") -> int:
    from fleetnas_latency.table import open_table

    args.table.parent.mkdir(parents=True, exist_ok=True)
    table = open_table(args.table)
    for pack in packs:
        added = put_pack(table, pack)
        print(f"{added} of {len(pack.observations)} latencies are new on {pack.target.key}")
    return 0


def _import_records(args: argparse.Namespace, records: "Sequence[FileRecord]") -> int:
    import time

    from fleetnas_latency.exchange.records import observations_of
    from fleetnas_latency.table import open_table

    target = _given_target(args)
    observations = observations_of(records, target, time.time())
    args.table.parent.mkdir(parents=True, exist_ok=True)
    added = put_new(open_table(args.table), target, observations)
    foreign = sum(one.operator is None and not one.space for one in records)
    print(
        f"{added} of {len(records)} latencies are new on {target.key}"
        + (f"; {foreign} are of operators FleetNAS has not, kept under their own keys" if foreign else "")
    )
    return 0


def _records(args: argparse.Namespace, content: bytes) -> "tuple[FileRecord, ...]":
    from fleetnas_latency.exchange.csv_files import read_csv
    from fleetnas_latency.exchange.paddle_files import read_paddle
    from fleetnas_latency.exchange.parquet_files import read_parquet
    from fleetnas_latency.exchange.records import Unit
    from fleetnas_search_spaces.registry import space

    unit = Unit.named(args.unit) if args.unit else None
    if (args.format or _BY_ENDING.get(args.file.suffix)) == "parquet":
        return read_parquet(content, space(args.space), unit)
    text = _text(args.file, content)
    if (args.format or guessed_format(args.file, text)) == "csv":
        return read_csv(text, space(args.space), unit)
    return read_paddle(text, unit)


def _given_target(args: argparse.Namespace) -> "Target":
    from fleetnas_latency.target import Target
    from fleetnas_search_spaces.operators import Precision

    if not args.device_model:
        raise InvalidArgumentError("the file does not say what was measured: name it with --device-model.")
    return Target(
        args.device_model,
        args.runtime,
        args.runtime_version,
        args.threads,
        precision=Precision(args.precision),
    )


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise NotFoundError(f"no file '{file}'.")
    return file.read_bytes()


def _text(file: Path, content: bytes) -> str:
    import gzip

    try:
        return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"'{file}' is no text ({error}).") from error

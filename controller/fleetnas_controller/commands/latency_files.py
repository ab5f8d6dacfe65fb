"""`fleetnas latency import` and `export`."""

__all__ = ["add_file_parsers"]

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from fleetnas_controller.commands.latency_import import guessed_format, import_latencies
from fleetnas_controller.commands.latency_targets import opened_target
from fleetnas_search_spaces.errors import NotFoundError
from fleetnas_search_spaces.whole_files import write_whole

if TYPE_CHECKING:
    from fleetnas_latency.exchange.records import FileRecord
    from fleetnas_latency.repository import LatencyRepository
    from fleetnas_latency.target import Target

FORMATS = ("choices", "csv", "onnx", "pack", "paddleslim-2019", "paddleslim-2020", "parquet")
_EPILOG = """\
formats: csv; parquet (the same columns; needs fleetnas[parquet]); pack (JSON with a hash, for a whole target); onnx
(in the metadata of a network that FleetNAS wrote: its latencies); paddleslim-2020 (commas, a header) and
paddleslim-2019 (blanks, none); choices (to write only: JSON with a cost for each option of each decision
of the space, for the latency term of one-shot training). Text tables carry no unit: give --unit unless the header
says us.

examples:
  fleetnas latency import --pack fbnet-pixel3
  fleetnas latency import latency_855.txt --device-model "Snapdragon 855" --runtime paddle-lite --unit us
  fleetnas latency export pixel3.pack.json --device pixel3
  fleetnas latency export runs/mine/found.onnx --device host
  fleetnas latency import runs/mine/found.onnx --table other.db
  fleetnas latency export table.txt --device rk3288 --format paddleslim-2020 --unit us
"""


def add_file_parsers(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", default_table: Path
) -> None:
    parsers = {}
    for name, text, run in (
        ("import", "read latencies from a file into the table", import_latencies),
        ("export", "write what the table knows of a target to a file", _export),
    ):
        parser = verbs.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("file", type=Path, metavar="FILE", nargs="?" if name == "import" else None)
        parser.add_argument("--format", choices=FORMATS, help="default: by the file's name and content")
        parser.add_argument("--unit", help="us, ms or s, where the format has no unit of its own")
        parser.add_argument("--space", default="nas-bench-macro", help="of networks (default: %(default)s)")
        parser.add_argument(
            "--table", type=Path, default=default_table, help="the table's file (default: %(default)s)"
        )
        parser.set_defaults(run=run)
        parsers[name] = parser
    parsers["import"].add_argument(
        "--pack", metavar="NAME", help="one that 'latency packs' lists, instead of FILE"
    )
    _add_target(parsers["import"])
    parsers["export"].add_argument("--device", default="", help="a target, as in 'latency query'")
    parsers["export"].add_argument("--origin", default="", help="where the numbers come from, for a pack")
    parsers["export"].add_argument("--licence", default="", help="under which terms, for a pack")


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device-model", default="", help="what was measured (a pack says it itself)")
    parser.add_argument("--runtime", default="unknown", help="what it was measured with")
    parser.add_argument("--runtime-version", default="unknown")
    parser.add_argument("--threads", type=int, default=1, help="threads it ran on (default: %(default)s)")
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="fp32",
        help="number type it ran with; types never mix (default: %(default)s)",
    )


def _export(args: argparse.Namespace) -> int:
    from fleetnas_controller.storage import storage_errors

    table, target = opened_target(args)
    style = args.format or guessed_format(args.file, "")
    left_out: tuple[str, ...] = ()
    if style in ("paddleslim-2019", "paddleslim-2020"):
        content, left_out = _paddle(args, table, target, style)
    else:
        content = _WRITERS[style](args, table, target)
    with storage_errors(args.file.parent):
        write_whole(args.file, content)
    print(f"{target.key} is in '{args.file}'")
    if left_out:
        print(
            f"{len(left_out)} keys were left out, {style} has no word for them: {left_out[0]}"
            + (", ..." if len(left_out) > 1 else ""),
            file=sys.stderr,
        )
    return 0


def _paddle(
    args: argparse.Namespace, table: "LatencyRepository", target: "Target", style: str
) -> tuple[bytes, tuple[str, ...]]:
    from fleetnas_latency.exchange.paddle_files import PaddleFormat, write_paddle
    from fleetnas_latency.exchange.records import Unit

    unit = Unit.named(args.unit or "us")
    records = _known(table, target, args.space)
    text, left_out = write_paddle(records, PaddleFormat(style), device=target.device_model, unit=unit)
    return text.encode(), left_out


def _pack(args: argparse.Namespace, table: "LatencyRepository", target: "Target") -> bytes:
    from fleetnas_latency.exchange.pack import Pack, write_pack

    entries, observations = table.coverage(target, args.space), table.observations(target)
    return write_pack(Pack(target, observations, entries, args.origin, args.licence)).encode()


def _csv(args: argparse.Namespace, table: "LatencyRepository", target: "Target") -> bytes:
    from fleetnas_latency.exchange.csv_files import write_csv

    return write_csv(_known(table, target, args.space)).encode()


def _parquet(args: argparse.Namespace, table: "LatencyRepository", target: "Target") -> bytes:
    from fleetnas_latency.exchange.parquet_files import write_parquet

    return write_parquet(_known(table, target, args.space))


def _onnx(args: argparse.Namespace, table: "LatencyRepository", target: "Target") -> bytes:
    from fleetnas_latency.exchange.onnx_metadata import with_onnx_latency

    if not args.file.is_file():
        raise NotFoundError(
            f"no file '{args.file}': a latency is written into a network's file that is there."
        )
    return with_onnx_latency(args.file.read_bytes(), table, target)


def _choices(args: argparse.Namespace, table: "LatencyRepository", target: "Target") -> bytes:
    import json

    from fleetnas_latency.choice_table import choice_table
    from fleetnas_latency.fitting import fit
    from fleetnas_search_spaces.registry import space

    wanted = space(args.space)
    model = fit(table, target, wanted)
    made = choice_table(wanted, lambda networks: model.predict(networks).mean_ms)
    document = {
        "space": wanted.name,
        "target": target.key,
        "option_counts": list(wanted.option_counts),
        "constant_ms": made.constant_ms,
        "costs_ms": made.costs_ms.tolist(),
        "median_error": made.error,
    }
    return f"{json.dumps(document, indent=1)}\n".encode()


def _known(table: "LatencyRepository", target: "Target", space: str) -> "list[FileRecord]":
    """Everything measured or imported on the target, averaged, and what was learned of the space's blocks."""
    from fleetnas_latency.exchange.records import FileRecord

    keys = dict.fromkeys(one.key for one in table.observations(target) if one.verdict == "ok")
    entries = {one.key: one for one in table.coverage(target, space) if one.operator is not None}
    entries |= {key: table.query(target, key) for key in keys}
    networks = {one.key: one.space for one in table.observations(target) if one.operator is None}
    return [
        FileRecord(
            key,
            one.mean_ms,
            one.operator,
            networks.get(key, ""),
            1.96 * one.std_ms / one.mean_ms if one.mean_ms > 0.0 else None,
        )
        for key, one in sorted(entries.items())
        if one.mean_ms > 0.0
    ]


_WRITERS: Mapping[str, Callable[[argparse.Namespace, "LatencyRepository", "Target"], bytes]] = (
    MappingProxyType({"choices": _choices, "csv": _csv, "onnx": _onnx, "pack": _pack, "parquet": _parquet})
)

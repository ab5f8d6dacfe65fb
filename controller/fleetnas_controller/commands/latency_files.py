"""`fleetnas latency import` and `export`."""

__all__ = ["add_file_parsers"]

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fleetnas_controller.commands.latency_packs import put_new, put_pack
from fleetnas_controller.commands.latency_targets import opened_target
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from fleetnas_latency.exchange.pack import Pack
    from fleetnas_latency.exchange.records import FileRecord, Unit
    from fleetnas_latency.repository import LatencyRepository
    from fleetnas_latency.target import Target

FORMATS = ("choices", "csv", "pack", "paddleslim-2019", "paddleslim-2020")
_EPILOG = """\
formats: csv; pack (JSON with a hash, for a whole target); paddleslim-2020 (commas, a header) and paddleslim-2019
(blanks, none); choices (to write only: JSON with a cost for each option of each decision of the space, for the
latency term of one-shot training). Text tables carry no unit: give --unit unless the header says us.

examples:
  fleetnas latency import --pack fbnet-pixel3
  fleetnas latency import latency_855.txt --device-model "Snapdragon 855" --runtime paddle-lite --unit us
  fleetnas latency export pixel3.pack.json --device pixel3
  fleetnas latency export table.txt --device rk3288 --format paddleslim-2020 --unit us
"""


def add_file_parsers(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", default_table: Path
) -> None:
    parsers = {}
    for name, text, run in (
        ("import", "read latencies from a file into the table", _import),
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


def _import(args: argparse.Namespace) -> int:
    import time

    from fleetnas_latency.exchange.records import observations_of
    from fleetnas_latency.table import open_table

    if args.format == "choices":
        raise InvalidArgumentError("a table of choices cannot be read back: import a pack or a CSV.")
    pack, text = _pack_or_text(args)
    args.table.parent.mkdir(parents=True, exist_ok=True)
    table = open_table(args.table)
    if pack is not None:
        added = put_pack(table, pack)
        print(f"{added} of {len(pack.observations)} latencies are new on {pack.target.key}")
        return 0
    target = _given_target(args)
    records = _records(args, text)
    added = put_new(table, target, observations_of(records, target, time.time()))
    foreign = sum(one.operator is None and not one.space for one in records)
    print(
        f"{added} of {len(records)} latencies are new on {target.key}"
        + (f"; {foreign} are of operators FleetNAS has not, kept under their own keys" if foreign else "")
    )
    return 0


def _pack_or_text(args: argparse.Namespace) -> "tuple[Pack | None, str]":
    """The pack that was asked for, or what the file says where it is none."""
    from fleetnas_latency.exchange.pack import read_pack
    from fleetnas_latency.exchange.shipped import shipped_pack

    if (args.file is None) == (args.pack is None):
        raise InvalidArgumentError(
            "give a FILE or --pack NAME, one of the two; 'latency packs' lists the names."
        )
    if args.pack is not None:
        return shipped_pack(args.pack), ""
    text = _read(args.file)
    return (read_pack(text), "") if (args.format or _guessed(args.file, text)) == "pack" else (None, text)


def _export(args: argparse.Namespace) -> int:
    from fleetnas_latency.exchange.csv_files import write_csv
    from fleetnas_latency.exchange.pack import Pack, write_pack
    from fleetnas_latency.exchange.paddle_files import PaddleFormat, write_paddle
    from fleetnas_latency.exchange.records import Unit

    table, target = opened_target(args)
    style = args.format or _guessed(args.file, "")
    left_out: tuple[str, ...] = ()
    if style == "pack":
        entries = table.coverage(target, args.space)
        observations = table.observations(target)
        text = write_pack(Pack(target, observations, entries, args.origin, args.licence))
    elif style == "choices":
        text = _choices(table, target, args.space)
    elif style == "csv":
        text = write_csv(_known(table, target, args.space))
    else:
        unit = Unit.named(args.unit or "us")
        records = _known(table, target, args.space)
        text, left_out = write_paddle(records, PaddleFormat(style), device=target.device_model, unit=unit)
    args.file.write_text(text, encoding="utf-8")
    print(f"{target.key} is in '{args.file}'")
    if left_out:
        print(
            f"{len(left_out)} keys were left out, {style} has no word for them: {left_out[0]}"
            + (", ..." if len(left_out) > 1 else ""),
            file=sys.stderr,
        )
    return 0


def _choices(table: "LatencyRepository", target: "Target", space_name: str) -> str:
    import json

    from fleetnas_latency.choice_table import choice_table
    from fleetnas_latency.fitting import fit
    from fleetnas_search_spaces.registry import space

    wanted = space(space_name)
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
    return json.dumps(document, indent=1) + "\n"


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


def _records(args: argparse.Namespace, text: str) -> "tuple[FileRecord, ...]":
    from fleetnas_latency.exchange.csv_files import read_csv
    from fleetnas_latency.exchange.paddle_files import read_paddle
    from fleetnas_search_spaces.registry import space

    unit = _unit(args)
    if (args.format or _guessed(args.file, text)) == "csv":
        return read_csv(text, space(args.space), unit)
    return read_paddle(text, unit)


def _unit(args: argparse.Namespace) -> "Unit | None":
    from fleetnas_latency.exchange.records import Unit

    return Unit.named(args.unit) if args.unit else None


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


def _guessed(file: Path, text: str) -> str:
    if file.suffix == ".json":
        return "pack"
    if file.suffix in (".csv", ".gz"):
        return "csv"
    return "paddleslim-2020" if "," in text or not text else "paddleslim-2019"


def _read(file: Path) -> str:
    import gzip

    if not file.is_file():
        raise NotFoundError(f"no file '{file}'.")
    content = file.read_bytes()
    try:
        return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"'{file}' is no text ({error}).") from error

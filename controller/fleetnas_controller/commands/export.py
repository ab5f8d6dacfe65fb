"""`fleetnas export`."""

__all__ = ["add_parsers"]

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands.arguments import verb
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError

if TYPE_CHECKING:
    from fleetnas_controller.calibration_images import CalibrationImages
    from fleetnas_search_spaces.graph import Graph

_COLOURS = 3


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verb(
        commands,
        "export",
        "write an architecture as a file for ONNX Runtime or ncnn",
        "export 22212220 --space nas-bench-macro --out net.onnx",
        _export,
    )
    parser.add_argument("architecture", metavar="ARCH", help="in the space's text form, as searches print it")
    parser.add_argument("--space", default="nas-bench-macro", help="default: %(default)s")
    parser.add_argument(
        "--format", choices=("onnx", "ncnn"), help="onnx, or ncnn's .param and .bin (default: by --out)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="trained tensors, .npz (default: seeded noise)"
    )
    parser.add_argument(
        "--int8", action="store_true", help="in integers, with --images to calibrate on (ncnn only)"
    )
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="images like those the network is meant for"
    )
    parser.add_argument(
        "--pixel-mean",
        type=_colours,
        metavar="R,G,B",
        help="taken from each value, 0 to 255 (default: 128,128,128)",
    )
    parser.add_argument(
        "--pixel-std", type=_deviations, metavar="R,G,B", help="what it is then divided by (same default)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _colours(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(one) for one in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, _COLOURS) or not all(map(math.isfinite, values)):
        raise argparse.ArgumentTypeError(f"'{text}' is not one number or three; write 123.7,116.3,103.5")
    return values * _COLOURS if len(values) == 1 else values


def _deviations(text: str) -> tuple[float, ...]:
    values = _colours(text)
    if min(values) <= 0.0:
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0; write 58.4,57.1,57.4")
    return values


def _export(args: argparse.Namespace) -> int:
    from fleetnas_controller.exported_network import (
        NetworkFormat,
        export_paths,
        read_weights,
        write_network,
    )
    from fleetnas_search_spaces.registry import space
    from fleetnas_search_spaces.weights import WeightPool

    wanted = space(args.space)
    architecture = wanted.parse(args.architecture)
    asked = NetworkFormat(args.format) if args.format else None
    format_, paths = export_paths(args.out, asked, force=args.force)
    _check_int8(args, str(format_))
    graph = wanted.graph(architecture)
    weights = read_weights(args.weights) if args.weights else WeightPool(None)
    images = _images(args, graph) if args.int8 else None
    ranges = None
    if images is not None:
        _need_onnx()
        from fleetnas_search_spaces.int8_ranges import input_ranges

        ranges = input_ranges(graph, weights, images)
    write_network(
        graph, weights, paths, key=architecture.key, trained=args.weights is not None, input_ranges=ranges
    )
    document: dict[str, Any] = {
        "space": args.space,
        "architecture": wanted.format(architecture),
        "format": str(format_),
        "precision": "int8" if args.int8 else "fp32",
        "weights": f"from {args.weights}" if args.weights else "untrained, seeded noise",
        "input_shape": list(graph.input_shape),
        "files": [{"path": str(path), "size_bytes": path.stat().st_size} for path in paths],
    }
    if images is not None:
        document["images"] = {"used": len(images.paths), "found": images.found_count}
    if args.json:
        print(json.dumps(document, indent=2))
    else:
        _print(document)
    return 0


def _check_int8(args: argparse.Namespace, format_: str) -> None:
    """Raises InvalidArgumentError."""
    if not args.int8:
        if args.images or args.pixel_mean or args.pixel_std:
            raise InvalidArgumentError("images only calibrate integers: give --int8 with them.")
    elif format_ != "ncnn":
        raise InvalidArgumentError(
            f"int8 is written for ncnn only, not for {format_}: end --out in .param, or leave --int8 out."
        )
    elif not args.images:
        raise InvalidArgumentError("int8 needs images to calibrate on: name their folder with --images.")


def _images(args: argparse.Namespace, graph: "Graph") -> "CalibrationImages":
    from fleetnas_controller.calibration_images import CalibrationImages, Scaling

    usual = Scaling()
    scaling = Scaling(args.pixel_mean or usual.mean, args.pixel_std or usual.std)
    return CalibrationImages(args.images, graph.input_shape, scaling)


def _need_onnx() -> None:
    from importlib.util import find_spec

    if find_spec("onnx") is None:
        raise FailedPreconditionError("calibration needs the package 'onnx': pip install 'fleetnas[search]'.")


def _print(document: dict[str, Any]) -> None:
    for file in document["files"]:
        print(f"{file['path']}: {file['size_bytes']} bytes")
    shape = " x ".join(map(str, document["input_shape"]))
    print(
        f"{document['space']} {document['architecture']} in {document['precision']}, input {shape}; "
        f"weights: {document['weights']}"
    )
    if "images" in document:
        print(f"calibrated on {document['images']['used']} of {document['images']['found']} images")

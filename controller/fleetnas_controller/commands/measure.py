"""`fleetnas device measure`."""

__all__ = ["add_device_options", "add_parser", "settings_of"]

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from fleetnas_controller.commands.arguments import share
from fleetnas_search_spaces.errors import FailedPreconditionError

if TYPE_CHECKING:
    from fleetnas_controller.device_session import DeviceSettings
    from fleetnas_controller.jobs import Device
    from fleetnas_latency.plan import Plan
    from fleetnas_latency.statistics import Statistic

_EPILOG = """\
Runs until the interval of the latency is narrow enough, beside a fixed anchor network, and judges what came out. A
verdict other than ok is said with what to do, and the exit code is 1.

examples:
  fleetnas device measure net.onnx                                this machine, ONNX Runtime, one thread
  fleetnas device measure net.onnx --runtime ncnn --json
  fleetnas device measure net.onnx --controller 127.0.0.1:7070 --data-dir fleet --device pixel3
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "measure",
        help="measure an ONNX file on a device",
        description="Measures the latency of an ONNX file on a device, with its interval, verdict and evidence.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE.onnx", help="the network, with fixed input sizes")
    add_device_options(parser)
    parser.add_argument(
        "--half-width",
        type=share,
        default=0.01,
        metavar="1%",
        help="half the interval aimed at (default: 1%%)",
    )
    parser.add_argument(
        "--max-s", type=float, default=20.0, metavar="S", help="longest sampling, seconds (default: 20)"
    )
    parser.add_argument("--no-anchor", action="store_true", help="measure without the anchor beside it")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.set_defaults(run=_measure)


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Which device, which runtime and how many threads."""
    parser.add_argument("--device", default="host", help="its id (default: host, this machine)")
    parser.add_argument("--controller", metavar="ADDR", help="a fleet's controller (default: one of its own)")
    parser.add_argument("--data-dir", type=Path, help="the controller's data folder, for its operator token")
    parser.add_argument("--runtime", default="", help="e.g. onnxruntime, ncnn (default: the device's first)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the runtime (default: 1)")
    parser.add_argument("--core", type=int, help="host: core to measure on (default: the last)")
    parser.add_argument(
        "--statistic",
        choices=["wall_median", "cpu_median", "cpu_p10"],
        help="what of the runs is the latency (default: what the device's self-test chose, see 'device selftest'; "
        "without one cpu_p10 for the host's one thread and wall_median elsewhere)",
    )
    parser.add_argument(
        "--runs-dir",
        type=Path,
        default=Path("runs"),
        help="where self-tests are kept (default: %(default)s)",
    )


def settings_of(args: argparse.Namespace) -> "DeviceSettings":
    from fleetnas_controller.device_session import DeviceSettings

    return DeviceSettings(
        device=args.device,
        controller=args.controller,
        data_dir=args.data_dir,
        runtime=args.runtime,
        core=args.core,
        thread_count=args.threads,
    )


def _measure(args: argparse.Namespace) -> int:
    import tempfile

    from fleetnas_controller.device_session import device_session
    from fleetnas_controller.measurement_report import measurement_document, measurement_rows
    from fleetnas_controller.measuring import Anchor, Measuring
    from fleetnas_controller.user_network import read_network
    from fleetnas_latency.statistics import Statistic

    network = read_network(args.file)
    _plan(
        args, Statistic(args.statistic or Statistic.WALL_MEDIAN)
    )  # mistakes are found before anything is started
    with device_session(settings_of(args)) as (client, device), tempfile.TemporaryDirectory() as folder:
        statistic = Statistic(args.statistic) if args.statistic else _tested_statistic(args, device)
        anchor = None if args.no_anchor else Anchor.uploaded(client, Path(folder))
        measuring = Measuring(client, device, args.runtime, anchor)
        record = measuring.measure(network.entry, measuring.uploaded(network), _plan(args, statistic))
    document = measurement_document(record, network)
    if args.json:
        print(json.dumps(document, indent=2))
    else:
        from fleetnas_controller.commands.printing import print_rows

        print_rows(measurement_rows(document))
    if document["verdict"] != "ok":
        raise FailedPreconditionError(f"no latency to rely on, {document['verdict']}: {document['reason']}")
    return 0


def _tested_statistic(args: argparse.Namespace, device: "Device") -> "Statistic":
    """What the device's self-test chose, or else what suits its kind."""
    from fleetnas_controller.asking import default_statistic
    from fleetnas_controller.self_tests import SelfTests
    from fleetnas_latency.statistics import Series, Statistic

    tested = SelfTests(args.runs_dir).find(device.device_id)
    chosen = Statistic(tested.statistic) if tested is not None else default_statistic(device, args.threads)
    return chosen if args.threads == 1 or chosen.series is Series.WALL else Statistic.WALL_MEDIAN


def _plan(args: argparse.Namespace, statistic: "Statistic") -> "Plan":
    from fleetnas_latency.plan import Plan

    return Plan(
        statistic=statistic,
        relative_half_width=args.half_width,
        max_duration_s=args.max_s,
        min_duration_s=min(1.0, args.max_s),
        thread_count=args.threads,
        anchor_share=0.0 if args.no_anchor else 0.3,
    )

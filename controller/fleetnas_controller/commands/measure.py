"""`fleetnas device measure`."""

__all__ = ["add_device_options", "add_parser", "settings_of"]

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands.arguments import core, seconds, share, thread_count
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError

if TYPE_CHECKING:
    from fleetnas_controller.device_session import DeviceSettings
    from fleetnas_controller.jobs import MeasurementRecord
    from fleetnas_controller.user_network import UserNetwork
    from fleetnas_latency.plan import Plan
    from fleetnas_latency.statistics import Statistic
_MOST_FILES = 20
_EPILOG = """\
Runs until the interval of the latency is narrow enough, beside a fixed anchor network, and judges what came out. A
verdict other than ok is said with what to do, and the exit code is 1.

Several files are one batch: in one lease they take turns with the anchor, in another random order each round, so
that what disturbs one disturbs all, and each is compared with the first, with the interval of the difference. The
anchor is measured before and after; where it moved by more than 3 % the device rests and the batch is measured again,
three times at most. A network that the device cannot run fails alone, and the others are measured without it.

Devices reached by adb or ssh run ncnn networks: NAME.param with NAME.bin (or NAME.weights) beside it.

examples:
  fleetnas device measure net.onnx                                this machine, ONNX Runtime, one thread
  fleetnas device measure net.onnx --runtime ncnn --json
  fleetnas device measure a.onnx b.onnx c.onnx                    how b and c differ from a
  fleetnas device measure net.onnx --profile                      what each operator takes
  fleetnas device measure net.param --controller 127.0.0.1:7070 --data-dir fleet --device pixel3
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "measure",
        help="measure network files on a device",
        description="Measures the latency of ONNX files, or of ncnn's on adb and ssh devices, with interval, "
        "verdict and evidence.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a network with fixed input sizes; up to 20 are measured in turns",
    )
    add_device_options(parser)
    parser.add_argument(
        "--half-width",
        type=share,
        default=0.01,
        metavar="1%",
        help="half the interval aimed at (default: 1%%)",
    )
    parser.add_argument(
        "--max-s", type=seconds, default=20.0, metavar="S", help="longest sampling, seconds (default: 20)"
    )
    parser.add_argument("--no-anchor", action="store_true", help="measure without the anchor beside it")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="tell what each operator takes (runtimes onnxruntime and openvino)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.set_defaults(run=_measure)


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Which device, which runtime and how many threads."""
    parser.add_argument("--device", default="host", help="its id (default: host, this machine)")
    parser.add_argument("--controller", metavar="ADDR", help="a fleet's controller (default: one of its own)")
    parser.add_argument("--data-dir", type=Path, help="the controller's data folder, for its operator token")
    parser.add_argument("--runtime", default="", help="e.g. onnxruntime, ncnn (default: the device's first)")
    parser.add_argument("--threads", type=thread_count, default=1, help="threads of the runtime (default: 1)")
    parser.add_argument("--core", type=core, help="host: core to measure on (default: the last; -1: any)")
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

    from fleetnas_controller.chosen_statistics import statistic_of
    from fleetnas_controller.device_session import device_session
    from fleetnas_controller.measuring import Anchor, Measuring
    from fleetnas_controller.self_tests import SelfTests
    from fleetnas_controller.user_network import check_runs_on, read_network
    from fleetnas_latency.statistics import Statistic

    if len(args.files) > _MOST_FILES:
        raise InvalidArgumentError(
            f"{len(args.files)} files are too many for one batch: {_MOST_FILES} may be."
        )
    networks = [read_network(one) for one in args.files]
    _plan(
        args, Statistic(args.statistic or Statistic.WALL_MEDIAN)
    )  # mistakes are found before anything is started
    with device_session(settings_of(args)) as (client, device), tempfile.TemporaryDirectory() as folder:
        check_runs_on(device, networks)
        tested = statistic_of(device, SelfTests(args.runs_dir), args.threads).statistic
        statistic = Statistic(args.statistic) if args.statistic else tested
        anchor = None if args.no_anchor else Anchor.uploaded(client, device, Path(folder))
        measuring = Measuring(client, device, args.runtime, anchor)
        uploaded = [measuring.uploaded(one) for one in networks]
        record, faults = measuring.measure_good(uploaded, _plan(args, statistic), profile=args.profile)
    failed = [
        {"file": str(networks[index].files[0][1]), "reason": fault.message}
        for index, fault in sorted(faults.items())
    ]
    if record is None:
        raise FailedPreconditionError(
            f"none of the files was measured; '{failed[0]['file']}': {failed[0]['reason']}"
        )
    good = [one for index, one in enumerate(networks) if index not in faults]
    documents = _tell(args, record, good, failed)
    if failed:
        raise FailedPreconditionError(f"'{failed[0]['file']}' was not measured: {failed[0]['reason']}")
    bad = [one for one in documents if one["verdict"] != "ok"]
    if bad:
        which = f" of '{bad[0]['file']}'" if len(documents) > 1 else ""
        raise FailedPreconditionError(
            f"no latency{which} to rely on, {bad[0]['verdict']}: {bad[0]['reason']}"
        )
    return 0


def _tell(
    args: argparse.Namespace,
    record: "MeasurementRecord",
    networks: "Sequence[UserNetwork]",
    failed: "Sequence[dict[str, str]]",
) -> list[dict[str, Any]]:
    """Prints what was measured; returns the document of each network that ran."""
    from fleetnas_controller.batch_report import batch_document, batch_rows, difference_rows
    from fleetnas_controller.commands.printing import print_rows
    from fleetnas_controller.measurement_report import measurement_document, measurement_rows, operator_rows
    from fleetnas_controller.self_tests import SelfTests

    if len(args.files) == 1:
        document = measurement_document(record, networks[0])
        documents, tables = [document], [measurement_rows(document)]
    else:
        tested = SelfTests(args.runs_dir).find(record.device.removeprefix("devices/"))
        resolution = tested.resolution if tested is not None else None
        document = batch_document(record, networks, resolution) | {"failed": list(failed)}
        documents, tables = document["networks"], [batch_rows(document), difference_rows(document)]
        tables = tables if document["differences"] else tables[:1]
    if args.json:
        print(json.dumps(document, indent=2))
        return documents
    for rows in tables:
        print_rows(rows)
    for one in documents if args.profile else ():
        if one["operators"]:
            print_rows(operator_rows(one), title=one["file"])
        else:
            print(f"no profile of '{one['file']}': runtime '{one['target']['runtime']}' tells none")
    return documents


def _plan(args: argparse.Namespace, statistic: "Statistic") -> "Plan":
    from fleetnas_latency.plan import QUOTED_MIN_S, Plan

    return Plan(
        statistic=statistic,
        relative_half_width=args.half_width,
        max_duration_s=args.max_s,
        # The networks of a batch share the time that the device is watched.
        min_duration_s=min(max(1.0, QUOTED_MIN_S / len(args.files)), args.max_s),
        thread_count=args.threads,
        anchor_share=0.0 if args.no_anchor else 0.3,
    )

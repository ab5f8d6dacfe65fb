"""`fleetnas device selftest`."""

__all__ = ["add_parser"]

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from fleetnas_controller.commands.measure import add_device_options, settings_of
from fleetnas_search_spaces.errors import InvalidArgumentError

if TYPE_CHECKING:
    from fleetnas_latency.self_test import SelfTest

_EPILOG = """\
Measures random networks in two sessions, compares each with itself (A and A'), and keeps in RUNS_DIR/devices what
difference the device can resolve and which statistic agrees best between sessions. 'device measure', 'search' and
'latency profile' take that statistic, and reports of searches refuse to call a smaller difference a change.

examples:
  fleetnas device selftest                                   this machine, about a minute
  fleetnas device selftest --controller 127.0.0.1:7070 --data-dir fleet --device pixel3 --sessions 3
"""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "selftest",
        help="find out what differences a device can resolve",
        description="Finds out how far a device agrees with itself, and which statistic to trust on it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_device_options(parser)
    parser.add_argument("--sessions", type=int, default=2, help="sessions, two or more (default: 2)")
    parser.add_argument("--networks", type=int, default=20, help="networks, five or more (default: 20)")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    parser.set_defaults(run=_selftest)


def _selftest(args: argparse.Namespace) -> int:
    import time

    from fleetnas_controller.self_testing import run_self_test
    from fleetnas_controller.self_tests import SelfTests

    for name, fewest in (("sessions", 2), ("networks", 5)):
        if getattr(args, name) < fewest:
            raise InvalidArgumentError(f"--{name} {getattr(args, name)} is too few: {fewest} are needed.")
    tested, record = run_self_test(
        settings_of(args),
        session_count=args.sessions,
        network_count=args.networks,
        now_s=time.time(),
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )
    path = SelfTests(args.runs_dir).put(record)
    if args.json:
        print(json.dumps(_document(tested, record.device, record.target, str(path)), indent=2))
        return 0
    from fleetnas_controller.commands.printing import print_rows

    print_rows(_rows(tested), title=record.device)
    print(f"{record.device} {tested}\nheadline {tested.chosen}: {tested.reason}\nkept in {path}")
    return 0


def _document(tested: "SelfTest", device: str, target: str, path: str) -> dict[str, Any]:
    from dataclasses import asdict

    values = asdict(tested)
    return {"device": device, "target": target, "resolution": tested.resolution, **values, "kept_in": path}


def _rows(tested: "SelfTest") -> list[list[str]]:
    head = ["statistic", "spread", "resolves", "tau, halves", "tau, sessions", "false alarms"]
    rows = [head]
    rows += [
        [
            f"{one.statistic}{' / anchor' if one.relative else ''}",
            f"{one.spread:.2%}",
            f"{one.resolution:.2%}",
            f"{one.halves_tau:.3f}",
            f"{one.sessions_tau:.3f}",
            f"{one.false_alarm_rate:.0%}",
        ]
        for one in tested.agreements
    ]
    rows.append(["single runs: CV, IQR", f"{tested.run_cv:.2%}", f"{tested.run_iqr:.2%}", "", "", ""])
    rows.append(["anchor between sessions", f"{tested.drift:.2%}", "", "", "", ""])
    rows.append(["measurements that are ok", f"{tested.ok_share:.0%}", "", "", "", ""])
    return rows

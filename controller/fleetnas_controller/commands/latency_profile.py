"""`fleetnas latency profile`."""

__all__ = ["add_profile_parser"]

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from fleetnas_controller.commands.arguments import core

_SHOWN_ENTRIES = 30


def add_profile_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    profile = verbs.add_parser(
        "profile",
        help="fill the table: measure the networks that tell most",
        description="Chooses networks by what they would tell, measures them through the fleet and stores them; "
        "prints what every block costs, how sure that is, and what more measurements would bring.",
        epilog="example:\n  fleetnas latency profile --space nas-bench-macro --device host --budget 30\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    profile.add_argument("--space", default="nas-bench-macro", help="search space (default: %(default)s)")
    profile.add_argument("--device", help="device by name (default: host, this machine)")
    profile.add_argument("--budget", type=int, default=50, help="networks at most (default: %(default)s)")
    profile.add_argument(
        "--error", type=float, default=0.0, metavar="PERCENT", help="stop at this expected median error"
    )
    profile.add_argument("--seed", type=int, default=0, help="seed of the networks drawn (default: 0)")
    profile.add_argument(
        "--runs-dir", type=Path, default=Path("runs"), help="where the table is (default: %(default)s)"
    )
    profile.add_argument(
        "--controller", metavar="ADDR", help="a fleet's controller (default: one of its own)"
    )
    profile.add_argument("--data-dir", type=Path, help="the controller's data folder, for its operator token")
    profile.add_argument(
        "--core", type=core, help="core the embedded agent measures on (default: the last; -1: any)"
    )
    profile.add_argument("--replay", type=Path, metavar="CSV", help="play this latency table instead")
    profile.add_argument("--json", action="store_true", help="print JSON")
    profile.set_defaults(run=_profile)


def _profile(args: argparse.Namespace) -> int:
    from fleetnas_controller.profile_session import ProfileSettings, run_profile
    from fleetnas_controller.search_session import SessionSettings

    device = args.device or ("host" if args.replay is None else "replay")
    document = run_profile(
        ProfileSettings(args.space, device, args.budget, args.error / 100.0, args.seed),
        SessionSettings(
            runs_dir=args.runs_dir,
            controller=args.controller,
            data_dir=args.data_dir,
            core=args.core,
            replay=args.replay,
        ),
        quiet=args.json and not sys.stderr.isatty(),
    )
    if args.json:
        print(json.dumps(document, indent=2))
    else:
        _print_profile(document)
    return 0


def _print_profile(document: dict[str, Any]) -> None:
    from fleetnas_controller.commands.printing import print_rows

    head = ["block", "ms", "+-, 95 %", "networks"]
    body = [
        [one["key"], f"{one['mean_ms']:.4f}", f"{1.96 * one['std_ms']:.4f}", str(one["networks"])]
        for one in document["entries"][:_SHOWN_ENTRIES]
    ]
    count = len(document["entries"])
    shown = f", the {_SHOWN_ENTRIES} least certain of {count} blocks" if count > _SHOWN_ENTRIES else ""
    print_rows([head, *body], title=f"{document['space']} on {document['target']}{shown}")
    if document["median_error"] is None:
        print(f"{document['networks']} networks known: too few to say how well the others are predicted")
        return
    print(
        f"{document['networks']} networks known, median error {100 * document['median_error']:.1f} %; "
        f"{document['more_measurements']} more measurements would lower it to "
        f"{100 * document['foreseen_median_error']:.1f} %"
    )

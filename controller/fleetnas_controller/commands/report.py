"""`fleetnas report`."""

__all__ = ["add_parsers"]

import argparse
from pathlib import Path

from fleetnas_controller.commands.arguments import pick_count


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "report",
        help="write a run's report again: HTML and PNG",
        description="Draws report.html and pareto.png of a finished run from its store.",
        epilog="examples:\n  fleetnas report nas-bench-macro-predictor-1\n"
        "  fleetnas report nas-bench-macro-predictor-1 --pick 4\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="RUN", help="name of the run")
    parser.add_argument(
        "--runs-dir", type=Path, default=Path("runs"), help="where runs are (default: %(default)s)"
    )
    parser.add_argument(
        "--pick",
        type=pick_count,
        metavar="K",
        help="show K networks of each device's front of accuracy and latency: its knee, and medoids by architecture",
    )
    parser.add_argument("--json", action="store_true", help="print the run's document and write nothing")
    parser.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> int:
    import json

    from fleetnas_controller.stored_runs import open_run

    run = open_run(args.runs_dir, args.name)
    if args.pick is not None:
        run = run.with_picks(args.pick)
    if args.json:
        print(json.dumps(run.result, indent=2))
        return 0
    run.write_report()
    if args.pick is not None:
        from fleetnas_controller.commands.printing import print_picks

        print_picks(run.result)
    print(f"report: {run.folder.report_html}\npareto: {run.folder.pareto_png}")
    return 0

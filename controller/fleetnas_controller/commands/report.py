"""`fleetnas report`."""

__all__ = ["add_parsers"]

import argparse
from pathlib import Path


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "report",
        help="write a run's report again: HTML and PNG",
        description="Draws report.html and pareto.png of a finished run from its store.",
        epilog="example:\n  fleetnas report nas-bench-macro-predictor-1\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="RUN", help="name of the run")
    parser.add_argument(
        "--runs-dir", type=Path, default=Path("runs"), help="where runs are (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the run's document and write nothing")
    parser.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> int:
    import json

    from fleetnas_controller.search_session import rewrite_report, stored_result

    if args.json:
        print(json.dumps(stored_result(args.runs_dir, args.name), indent=2))
        return 0
    folder = rewrite_report(args.runs_dir, args.name)
    print(f"report: {folder.report_html}\npareto: {folder.pareto_png}")
    return 0

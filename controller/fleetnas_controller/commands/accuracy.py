"""`fleetnas accuracy`: a model of a space's accuracies."""

__all__ = ["add_parsers"]

import argparse
from pathlib import Path

from fleetnas_controller.commands.accuracy_fit import fit
from fleetnas_controller.commands.accuracy_predict import predict
from fleetnas_controller.commands.arguments import pick_count, use_count, verb

_MODEL = Path("runs") / "accuracy.json"
_SCORES = Path("runs") / "scores.db"


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    accuracy = commands.add_parser("accuracy", help="predict accuracies from some that were trained")
    verbs = accuracy.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_fit(
        verb(
            verbs,
            "fit",
            "learn a model from trainings, and say how far to trust it",
            "accuracy fit trainings.csv --space nas-bench-macro\n"
            "  fleetnas accuracy fit --run first --run second\n"
            "  fleetnas accuracy fit --accuracy table:nas-bench-macro:single --sample 50",
            fit,
        )
    )
    _add_predict(
        verb(
            verbs,
            "predict",
            "predict networks, with intervals",
            "accuracy predict 22222222 12021020\n  fleetnas accuracy predict --top 10 --sample 2000",
            predict,
        )
    )


def _add_fit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="CSV",
        help="columns arch and accuracy (percent), one row a training; a column fidelity or epochs for several",
    )
    parser.add_argument(
        "--run",
        dest="runs",
        action="append",
        metavar="RUN",
        help="a search: name, folder or store.db; may be given several times",
    )
    parser.add_argument(
        "--runs-dir", type=Path, default=Path("runs"), help="where runs are (default: %(default)s)"
    )
    parser.add_argument("--accuracy", metavar="SOURCE", help="with --sample: an accuracy source to draw from")
    parser.add_argument(
        "--sample", type=use_count, metavar="N", help="with --accuracy: so many random networks"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: %(default)s)")
    parser.add_argument("--space", default="nas-bench-macro", help="search space (default: %(default)s)")
    parser.add_argument(
        "--fidelity", default="", metavar="F", help="the fidelity to predict (default: the largest)"
    )
    parser.add_argument(
        "--proxy",
        default="",
        metavar="COLUMN",
        help="a column of numbers that go with accuracy and cost less",
    )
    parser.add_argument(
        "--models",
        default="",
        metavar="A,B",
        help="out of gaussian-process, bayesian-ridge, boosting, deep-ensemble (default: all installed)",
    )
    parser.add_argument(
        "--scores",
        default="",
        metavar="A,B",
        help="scores of untrained networks to try as inputs: synflow, jacob_cov, grad_norm",
    )
    _add_model(parser, "file to write the model to")


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "architectures", nargs="*", metavar="ARCH|FILE", help="architectures, or a file with one a line"
    )
    parser.add_argument("--top", type=pick_count, metavar="N", help="the N best predicted of --sample")
    parser.add_argument(
        "--sample", type=use_count, metavar="K", help="with --top: of so many random networks"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: %(default)s)")
    _add_model(parser, "the model's file")


def _add_model(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "--model", type=Path, default=_MODEL, metavar="FILE", help=f"{text} (default: %(default)s)"
    )
    parser.add_argument(
        "--score-cache",
        type=Path,
        default=_SCORES,
        metavar="FILE",
        help="where scores are kept, so that each is computed once (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")

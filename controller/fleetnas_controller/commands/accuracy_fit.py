"""`fleetnas accuracy fit`."""

__all__ = ["fit"]

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.whole_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fleetnas_search_spaces.architecture import SearchSpace
    from fleetnas_training.accuracy_models.candidates import Candidate
    from fleetnas_training.accuracy_models.scores import ZeroCostScores
    from fleetnas_training.trainings import Trainings


def fit(args: argparse.Namespace) -> int:
    """Writes the chosen model and prints all that competed."""
    from fleetnas_controller.storage import storage_errors
    from fleetnas_search_spaces.registry import space
    from fleetnas_training.accuracy_file import AccuracyFile, write_accuracy_file
    from fleetnas_training.accuracy_model import fit_accuracy_model

    trainings, source = _trainings(args, space(args.space))
    names = [one.strip() for one in args.models.split(",") if one.strip()]
    scores = _scores(args, trainings.space)
    model, candidates = fit_accuracy_model(trainings, names, scores)
    rows = [_row(one) for one in candidates]
    with storage_errors(args.model):
        args.model.parent.mkdir(parents=True, exist_ok=True)
        write_whole(args.model, write_accuracy_file(AccuracyFile(model, source, rows)))
    document = {
        "model": str(args.model),
        "space": args.space,
        "source": source,
        "trainings": _counts(trainings),
        "rho": model.rho,
        "score_batch": scores.batch.described if scores else None,
        "chosen": rows[0]["name"],
        "candidates": rows,
        "missing": [] if names else _missing(),
    }
    if args.json:
        print(json.dumps(document, indent=2))
    else:
        _print(document)
    return 0


def _trainings(args: argparse.Namespace, space: "SearchSpace") -> "tuple[Trainings, str]":
    """Of the one place that was named, and that place in words."""
    given = [args.file is not None, bool(args.runs), args.accuracy is not None]
    if sum(given) != 1:
        raise InvalidArgumentError(
            "give a CSV, --run RUN, or --accuracy SOURCE with --sample N: one of the three."
        )
    if (args.accuracy is None) != (args.sample is None):
        raise InvalidArgumentError("--accuracy SOURCE and --sample N go together: give both.")
    if args.file is None and (args.fidelity or args.proxy):
        raise InvalidArgumentError("--fidelity and --proxy are about a CSV: give one.")
    if args.file is not None:
        from fleetnas_controller.storage import storage_errors
        from fleetnas_training.training_files import read_trainings

        with storage_errors(args.file):
            text = args.file.read_bytes().decode("utf-8-sig", errors="replace")
        return read_trainings(text, space, args.fidelity, args.proxy), args.file.name
    if args.runs:
        from fleetnas_controller.run_trainings import read_run_trainings

        return read_run_trainings(args.runs_dir, args.runs, space)
    return _sampled(args, space)


def _sampled(args: argparse.Namespace, space: "SearchSpace") -> "tuple[Trainings, str]":
    from random import Random

    from fleetnas_search_spaces.choices import distinct_samples
    from fleetnas_training.accuracy_source import accuracy_source
    from fleetnas_training.trainings import Trainings

    source = accuracy_source(args.accuracy, seed=args.seed)
    networks = distinct_samples(space, args.sample, Random(f"networks {args.seed}"))
    values = [source.evaluate(one, draw).value_percent for draw, one in enumerate(networks)]
    return Trainings.of(space, networks, values), args.accuracy


def _scores(args: argparse.Namespace, space: "SearchSpace") -> "ZeroCostScores | None":
    if not args.scores.strip(" ,"):
        return None
    from fleetnas_training.accuracy_models.score_batch import score_batch
    from fleetnas_training.accuracy_models.scores import ScoreCache, ZeroCostScores, score_names

    names = score_names(args.scores)
    return ZeroCostScores(
        space, names, score_batch(space.reference.resolution_px), ScoreCache(args.score_cache)
    )


def _counts(trainings: "Trainings") -> "list[Mapping[str, Any]]":
    return [
        {
            "level": level,
            "trainings": len(rows),
            "networks": len({one.architecture for one in rows}),
        }
        for level in trainings.levels
        for rows in [trainings.at(level)]
    ]


def _row(candidate: "Candidate") -> dict[str, Any]:
    """Of the table."""
    judgement = candidate.judgement
    return {"name": candidate.name, "rank_loss": judgement.rank_loss, **asdict(judgement)}


def _missing() -> list[str]:
    from fleetnas_training.accuracy_models.families import missing_families

    return [f"{one.name} (pip install 'fleetnas[{one.extra}]')" for one in missing_families()]


def _print(document: "Mapping[str, Any]") -> None:
    from fleetnas_controller.commands.printing import print_rows

    head = ["model", "tau", "error, points", "inside 90 %", "calibrated"]
    print_rows([head, *map(_texts, document["candidates"])], "each network predicted from the others")
    for one in document["trainings"]:
        level = f" at {one['level']}" if one["level"] else ""
        print(f"{one['trainings']} trainings of {one['networks']} networks{level}")
    if document["score_batch"]:
        print(f"scores computed on {document['score_batch']}")
    if document["missing"]:
        print(f"not tried, not installed: {', '.join(document['missing'])}")
    print(f"chosen: {document['chosen']}, written to {document['model']}")


def _texts(row: "Mapping[str, Any]") -> "Sequence[str]":
    shares = (row["coverage_90"], row["calibrated_90"])
    return [
        row["name"],
        f"{row['tau']:.3f}",
        f"{row['error_percent']:.2f}",
        *(f"{one:.0%}" for one in shares),
    ]

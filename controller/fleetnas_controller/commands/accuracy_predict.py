"""`fleetnas accuracy predict`."""

__all__ = ["predict"]

import argparse
import json
from typing import TYPE_CHECKING

from fleetnas_controller.commands.arguments import listed_architectures
from fleetnas_search_spaces.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleetnas_search_spaces.architecture import Architecture, SearchSpace


def predict(args: argparse.Namespace) -> int:
    """In the order given, or the best first."""
    from fleetnas_controller.storage import storage_errors
    from fleetnas_training.accuracy_file import read_accuracy_file
    from fleetnas_training.accuracy_models.scores import ScoreCache

    with storage_errors(args.model):
        raw = args.model.read_bytes()
    file = read_accuracy_file(raw, ScoreCache(args.score_cache))
    space = file.trainings.space
    architectures = _asked(args, space)
    found = file.model.predict(architectures)
    order = list(range(len(architectures)))
    if args.top is not None:
        order = sorted(order, key=lambda one: -found.mean_percent[one])[: args.top]
    rows = [
        {
            "architecture": space.format(architectures[one]),
            "mean_percent": float(found.mean_percent[one]),
            "low_percent": float(found.low_percent[one]),
            "high_percent": float(found.high_percent[one]),
            "source": "predicted",
        }
        for one in order
    ]
    chosen = file.candidates[0]["name"]
    networks = len({one.architecture for one in file.trainings.at(file.trainings.levels[-1])})
    if args.json:
        document = {"space": space.name, "model": chosen, "networks_trained": networks, "predictions": rows}
        print(json.dumps(document, indent=2))
        return 0
    print(f"predicted by {chosen} from {networks} trained networks of {space.name} ({file.source})")
    for row in rows:
        interval = f"{row['low_percent']:.2f} to {row['high_percent']:.2f}, 90 % of trainings"
        print(f"{row['architecture']}: {row['mean_percent']:.2f} % ({interval})")
    return 0


def _asked(args: argparse.Namespace, space: "SearchSpace") -> "Sequence[Architecture]":
    from random import Random

    from fleetnas_search_spaces.choices import distinct_samples

    if (args.top is None) != (args.sample is None) or bool(args.architectures) == (args.top is not None):
        raise InvalidArgumentError("give architectures, or --top N with --sample K: one of the two.")
    if args.top is not None:
        return distinct_samples(space, args.sample, Random(f"networks {args.seed}"))
    texts = listed_architectures(args.architectures)
    if not texts:
        raise InvalidArgumentError(f"'{args.architectures[0]}' names no architecture: write one a line.")
    return [space.canonical(space.parse(text)) for text in texts]

"""What searches evaluated, as trainings to learn from."""

__all__ = ["read_run_trainings"]

from collections.abc import Sequence
from pathlib import Path

from fleetnas_controller.trials import Trial
from fleetnas_controller.warm_start import read_earlier
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_training.trainings import Training, Trainings


def read_run_trainings(runs_dir: Path, names: Sequence[str], space: SearchSpace) -> tuple[Trainings, str]:
    """The accuracies of searches of one space, finished or not; each training once, however many runs hold it.

    Args:
        names: Names in ``runs_dir``, folders, or ``store.db`` files.

    Returns:
        The trainings, and the name of the source that they all come from.

    Raises:
        InvalidArgumentError: They come from several sources, or there are too few; other errors as ``read_earlier``.
    """
    found: dict[tuple[str, float | None, str, float], Trial] = {}
    for name in names:
        for one in read_earlier(name, space, runs_dir):
            found.setdefault((one.architecture, one.accuracy, one.accuracy_source, one.finish_time), one)
    sources = sorted({one.accuracy_source for one in found.values() if one.accuracy is not None})
    if len(sources) > 1:
        raise InvalidArgumentError(
            f"the accuracies come from {len(sources)} sources ({', '.join(sources)}), which do not compare: give "
            "runs of one."
        )
    rows = tuple(
        Training(space.canonical(space.parse(one.architecture)), one.accuracy)
        for one in found.values()
        if one.accuracy is not None
    )
    return Trainings(space, rows), sources[0] if sources else ""

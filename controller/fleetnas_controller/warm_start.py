"""What a search takes over from an earlier one, and what it proposes first."""

__all__ = ["EarlierTrials", "read_earlier", "start_architectures", "usable_here"]

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from fleetnas_controller.caps import exact_limits
from fleetnas_controller.outcomes import outcome_of
from fleetnas_controller.ranking import front_observed, rank_observed, spread_evenly
from fleetnas_controller.run_folder import RunFolder
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.storage import storage_errors
from fleetnas_controller.strategies.exact_caps import ExactCaps, exact_counts
from fleetnas_controller.strategies.strategy import Outcome, Problem, Reading
from fleetnas_controller.trial_store import read_trials
from fleetnas_controller.trials import DeviceReading, Trial, TrialPhase, TrialState
from fleetnas_latency.judgement import Verdict
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError

_PROPOSED = 5
"""The best of an earlier search whose numbers do not hold here are proposed first: so many."""


def start_architectures(config: SearchConfig, space: SearchSpace) -> tuple[Architecture, ...]:
    """``config.start_from``, canonical, each once, without the reference, which every search begins with.

    Raises:
        InvalidArgumentError: One that the space cannot read or that breaks an exact cap, or more than the budget has
            room for.
    """
    given = dict.fromkeys(space.canonical(space.parse(text)) for text in config.start_from)
    caps = ExactCaps(Problem(space, exact_limits(config)))
    for one in given:
        if caps.violation(one) > 0.0:
            raise InvalidArgumentError(
                f"the architecture '{space.format(one)}' to start from breaks a cap that needs no measurement: leave "
                "it out, or loosen the cap."
            )
    given.pop(space.canonical(space.reference), None)
    if len(given) > config.searching_count - 1:
        raise InvalidArgumentError(
            f"{len(given)} architectures to start from do not fit a budget of {config.budget}, which leaves "
            f"{config.searching_count - 1} for the search: give fewer, or a larger --budget."
        )
    return tuple(given)


def read_earlier(search: str, space: SearchSpace, runs_dir: Path) -> tuple[Trial, ...]:
    """The finished trials of an earlier search, numbered from 1 in the order they ended; none where none is named.

    The earlier search may be under way still, and is not disturbed. Its trials bear their readings, targets and
    accuracy sources as they were: what of it holds in this search is decided when the reference is measured.

    Args:
        search: Its name in ``runs_dir``, its folder, or its ``store.db``.

    Raises:
        NotFoundError: No such search.
        InvalidArgumentError: It is one of another space.
        FailedPreconditionError: It has not finished any trial.
    """
    if not search:
        return ()
    store = _store_of(search, runs_dir)
    with (
        storage_errors(store),
        closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as database,
    ):
        row = database.execute("select config from searches limit 1").fetchone()
    found: Sequence[Trial] = ()
    if row is not None:
        earlier = SearchConfig.from_json(row[0])
        if earlier.space != space.name:
            raise InvalidArgumentError(
                f"the search '{search}' is one of space '{earlier.space}', this one of "
                f"'{space.name}': start from a search of the same space."
            )
        found = [one for one in read_trials(store, earlier.name) if one.state is TrialState.FINISHED]
    if not found:
        raise FailedPreconditionError(
            f"the search '{search}' has finished no trial yet: start from another, or from none."
        )
    ordered = sorted(found, key=lambda one: one.order)
    return tuple(
        replace(
            one,
            number=place + 1,
            phase=TrialPhase.EARLIER,
            order=place,
            curve=None,  # of another search's rule
            **exact_counts(space.graph(space.parse(one.architecture))),  # older versions counted less
        )
        for place, one in enumerate(ordered)
    )


def usable_here(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """The trials of a search, the earlier ones with what holds in it and nothing else.

    An accuracy holds where it comes from the source, at the fidelity, that the reference's comes from; a latency
    where it was measured on the target that the reference was measured on, on whichever device.

    Args:
        trials: By number; the first is the reference, measured.
    """
    reference = trials[0]
    return tuple(_usable(one, reference) if one.phase is TrialPhase.EARLIER else one for one in trials)


class EarlierTrials:
    """The trials that a search took over, once its reference is measured.

    Args:
        stored: As they were, phase EARLIER.
        reference: Of this search, measured.
        reference_ms: By device, its latency.
    """

    def __init__(
        self,
        config: SearchConfig,
        space: SearchSpace,
        stored: Sequence[Trial],
        reference: Trial,
        reference_ms: Mapping[str, float],
    ) -> None:
        self._config = config
        self._space = space
        self._stored = stored
        self._reference_ms = reference_ms
        self.usable = usable_here([reference, *stored])[1:]

    @property
    def whole(self) -> tuple[Trial, ...]:
        """Those that lack nothing: an accuracy and a latency on every device. They count as evaluated."""
        return tuple(one for one in self.usable if self.lacks_nothing(one))

    def lacks_nothing(self, trial: Trial) -> bool:
        good = {device for device, one in trial.readings.items() if one.verdict == Verdict.OK}
        return trial.accuracy is not None and good.issuperset(self._config.devices)

    def first(self, problem: Problem) -> tuple[Architecture, ...]:
        """What to propose before the strategy is asked: what the user named, then the best of those in part usable.

        Which are the best is guessed: by their accuracies, whatever the source, and by latencies that stand to
        this reference's as they stood to the earlier one's. Those that break an exact cap are left out.
        """
        named = start_architectures(self._config, self._space)
        room = self._config.searching_count - 1 - len(named)
        chosen = dict.fromkeys(named)
        chosen.update(dict.fromkeys(self._best(problem)[: max(0, room)]))
        return tuple(chosen)

    def _best(self, problem: Problem) -> list[Architecture]:
        known = {one.architecture for one in self.whole}
        known.add(self._space.format(self._space.canonical(self._space.reference)))
        rest = [one for one in self._stored if one.architecture not in known and one.accuracy is not None]
        guesses = [self._guess(one) for one in rest]
        by_key = {one.architecture.key: one.architecture for one in guesses}
        if problem.costs:
            keys = front_observed(guesses, problem.caps, problem.costs)
            keys = tuple(spread_evenly(keys, _PROPOSED))
        else:
            keys = rank_observed(guesses, problem.caps, problem.soft)[:_PROPOSED]
        caps = ExactCaps(problem)
        return [by_key[key] for key in keys if caps.violation(by_key[key]) == 0.0]

    def _guess(self, trial: Trial) -> Outcome:
        ratios = [one.ratio.value for one in trial.readings.values() if one.ratio is not None]
        readings = {}
        if ratios:
            ratio = sum(ratios) / len(ratios)
            readings = {device: Reading(ratio * ms) for device, ms in self._reference_ms.items()}
        return outcome_of(self._space, trial, readings)


def _store_of(text: str, runs_dir: Path) -> Path:
    """A search's name, its folder, or its store; errors as ``RunFolder.require``."""
    if (runs_dir / text / "store.db").is_file():
        return runs_dir / text / "store.db"
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        folder = RunFolder(path)
    else:
        folder = RunFolder(runs_dir / path.name) if path.parent == Path() else RunFolder(path)
    folder.require()
    return folder.store


def _usable(trial: Trial, reference: Trial) -> Trial:
    same_source = trial.accuracy_source == reference.accuracy_source
    readings = {}
    for device, own in reference.readings.items():
        found = _on_target(trial, device, own.target)
        if found is not None:
            readings[device] = found
    return replace(trial, readings=readings, accuracy=trial.accuracy if same_source else None)


def _on_target(trial: Trial, device: str, target: str) -> DeviceReading | None:
    """The trial's reading on a target, that of the device of this name first."""
    found = [(name != device, name, one) for name, one in trial.readings.items() if one.target == target]
    return min(found, key=lambda one: one[:2])[2] if found and target else None

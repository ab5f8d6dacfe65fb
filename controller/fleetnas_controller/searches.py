"""What clients do with searches: create, get, list, cancel, propose, tell."""

__all__ = ["SearchBook"]

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from fleetnas_controller.jobs import Page
from fleetnas_controller.paging import token_number
from fleetnas_controller.run_folder import RunFolder
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_records import (
    CLIENT_ACCURACY,
    SearchInfo,
    SearchState,
    ToldLatency,
    TrialInfo,
    TrialReading,
    search_id,
    search_name,
    trial_info,
)
from fleetnas_controller.search_runner import Ended, RunsSearches
from fleetnas_controller.search_session import check_config
from fleetnas_controller.search_store import SearchStore, ToldTrial
from fleetnas_controller.told_search import ToldSearch
from fleetnas_controller.trial_store import read_trials
from fleetnas_controller.trials import Trial, TrialPhase
from fleetnas_latency.statistics import Estimate
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    NotFoundError,
    PermissionDeniedError,
    near_names,
)
from fleetnas_search_spaces.registry import space as space_of
from fleetnas_training.training_command import TRAINING

_TOLD_SOURCE = "told by a client"


class SearchBook:
    """The searches of a controller, ended ones included.

    Args:
        runs_dir: Where the folders of the searches are that the controller runs.
        now_s: Seconds since 1970.
    """

    def __init__(
        self, store: SearchStore, runner: RunsSearches, runs_dir: Path, now_s: Callable[[], float]
    ) -> None:
        self._store = store
        self._runner = runner
        self._runs_dir = runs_dir
        self._now_s = now_s
        # Open searches are asked a thousand times a second, so they are not read from the store each time.
        self._told: dict[str, tuple[SearchInfo, ToldSearch]] = {}
        for search in store.unended_searches():
            if search.state is not SearchState.OPEN:
                # Its worker died with the last controller, or never began.
                store.put_search(replace(search, state=SearchState.QUEUED))
                runner.submit(search.config)

    def create(self, config: SearchConfig) -> SearchInfo:
        """Begins it; the same settings again return the search that is there.

        Raises:
            InvalidArgumentError, NotFoundError: A setting cannot be used.
            AlreadyExistsError: Another search has the name.
        """
        name = search_name(config.name)
        known = self._store.search(name)
        if known is not None:
            if known.config != config:
                raise AlreadyExistsError(
                    f"a search '{config.name}' exists with another "
                    f"{', '.join(known.config.differences(config))}. Choose another name."
                )
            return self._counted(known)
        if config.accuracy == CLIENT_ACCURACY:
            told = ToldSearch(config, space_of(config.space), self._store, self._now_s)
            search = SearchInfo(name, config, SearchState.OPEN, self._now_s())
            self._store.put_search(search)
            self._told[name] = (search, told)
        else:
            if config.accuracy.startswith(TRAINING):
                raise PermissionDeniedError(
                    f"'{config.accuracy}' would run a program on the controller: run 'fleetnas search --controller "
                    "ADDR' where the program is, or create an open search and tell it the accuracies."
                )
            check_config(config)
            if config.warm_start:
                RunFolder.of(self._runs_dir, config.warm_start).require()
            search = SearchInfo(name, config, SearchState.QUEUED, self._now_s())
            self._store.put_search(search)
            self._runner.submit(config)
        return self.get(name)

    def get(self, name: str) -> SearchInfo:
        """Raises NotFoundError, naming near ones."""
        return self._counted(self._known(name))

    def list(self, page_size: int, page_token: str) -> Page[SearchInfo]:
        """By name."""
        found = self._store.searches(page_token, page_size + 1)
        items = tuple(self._counted(one) for one in found[:page_size])
        return Page(items, items[-1].name if len(found) > page_size else "")

    def cancel(self, name: str) -> SearchInfo:
        """Cancelling twice is cancelling once.

        Raises:
            NotFoundError: There is no such search.
            FailedPreconditionError: It has ended otherwise.
        """
        search = self._known(name)
        if search.state is SearchState.CANCELLED:
            return self._counted(search)
        if search.state.ended:
            raise FailedPreconditionError(
                f"the search '{search.config.name}' is {search.state}. Nothing to cancel."
            )
        self._store.put_search(
            replace(search, state=SearchState.CANCELLED, reason="cancelled by an operator")
        )
        self._told.pop(search.name, None)
        self._runner.cancel(search.config.name)
        return self.get(name)

    def told(self, name: str) -> ToldSearch:
        """An open search; errors as ``propose``."""
        return self._open(name)[1]

    def propose(self, name: str, worker: str = "") -> TrialInfo:
        """See ``ToldSearch.propose``; FailedPreconditionError unless the search is open."""
        search, told = self._open(name)
        return _told_info(search.name, told.propose(worker))

    def tell(
        self, name: str, number: int, accuracy: float | None, latencies: Sequence[ToldLatency], fault: str
    ) -> TrialInfo:
        """See ``ToldSearch.tell``; the search is FINISHED when its budget is evaluated."""
        search, told = self._open(name)
        trial = told.tell(number, accuracy, latencies, fault)
        if told.complete:
            self._store.put_search(replace(search, state=SearchState.FINISHED))
            self._told.pop(search.name, None)
        return _told_info(search.name, trial)

    def trials(self, name: str, after: int = -1, limit: int = -1) -> tuple[TrialInfo, ...]:
        """By number, from the first above ``after`` on; all when ``limit`` is negative."""
        search = self._known(name)
        if search.config.accuracy == CLIENT_ACCURACY:
            told = self._store.trials(search.name, after, limit)
            return tuple(_told_info(search.name, one) for one in told)
        found = [one for one in self._run_trials(search) if one.number > after]
        wanted = found if limit < 0 else found[:limit]
        return tuple(trial_info(search.name, one) for one in wanted)

    def changed_trials(self, name: str, after_number: int, after_order: int) -> tuple[TrialInfo, ...]:
        """By number: those with a higher number, and those that ended with a higher order."""
        search = self._known(name)
        if search.config.accuracy == CLIENT_ACCURACY:
            told = self._store.changed_trials(search.name, after_number, after_order)
            return tuple(_told_info(search.name, one) for one in told)
        return tuple(
            trial_info(search.name, one)
            for one in self._run_trials(search)
            if one.number > after_number or one.order > after_order
        )

    def list_trials(self, name: str, page_size: int, page_token: str) -> Page[TrialInfo]:
        """Raises InvalidArgumentError when ``page_token`` is not from a page before."""
        found = self.trials(name, token_number(page_token, -1), page_size + 1)
        more = len(found) > page_size
        return Page(found[:page_size], str(found[page_size - 1].number) if more else "")

    def started(self, name: str) -> None:
        """The runner has begun."""
        search = self._known(name)
        if not search.state.ended:
            self._store.put_search(replace(search, state=SearchState.RUNNING, reason=""))

    def ended(self, how: Ended) -> None:
        """The runner is through."""
        search = self._known(how.name)
        if search.state.ended:
            return
        if how.result_json:
            found = json.loads(how.result_json)["found"]
            reason = "" if found else "no confirmed architecture keeps every cap"
            done = replace(search, state=SearchState.FINISHED, result_json=how.result_json, reason=reason)
        else:
            done = replace(search, state=SearchState.FAILED, reason=how.reason)
        self._store.put_search(done)

    def _known(self, name: str) -> SearchInfo:
        search = self._store.search(search_name(name))
        if search is None:
            there = [one.config.name for one in self._store.searches("", 1_000)]
            raise NotFoundError(
                f"no search '{search_id(name)}' on this controller; {near_names(search_id(name), there)}"
            )
        return search

    def _open(self, name: str) -> tuple[SearchInfo, ToldSearch]:
        found = self._told.get(search_name(name))
        if found is not None:
            return found
        search = self._known(name)
        if search.state is not SearchState.OPEN:
            who = "its accuracies do not come from a client" if not search.state.ended else "it has ended"
            raise FailedPreconditionError(
                f"the search '{search.config.name}' is {search.state}, {who}: nothing to propose or tell. "
                f'Create one with the accuracy "{CLIENT_ACCURACY}".'
            )
        space = space_of(search.config.space)
        self._told[search.name] = search, ToldSearch(search.config, space, self._store, self._now_s)
        return self._told[search.name]

    def _counted(self, search: SearchInfo) -> SearchInfo:
        if search.name in self._told:
            _, told = self._told[search.name]
            return replace(search, trial_count=told.trial_count, ended_count=told.ended_count)
        if search.config.accuracy == CLIENT_ACCURACY:
            count, ended = self._store.trial_counts(search.name)
        else:
            trials = self._run_trials(search)
            count, ended = len(trials), sum(one.order >= 0 for one in trials)
        return replace(search, trial_count=count, ended_count=ended)

    def _run_trials(self, search: SearchInfo) -> Sequence[Trial]:
        store = RunFolder.of(self._runs_dir, search.config.name).store
        return read_trials(store, search.config.name)


def _told_info(search: str, trial: ToldTrial) -> TrialInfo:
    readings = tuple(
        TrialReading(
            device=one.device,
            measurement="",
            target="",
            verdict="ok",
            source="told",
            latency_ms=Estimate(
                one.latency_ms, one.latency_ms - 1.96 * one.std_ms, one.latency_ms + 1.96 * one.std_ms
            ),
        )
        for one in trial.latencies
    )
    return TrialInfo(
        search=search,
        number=trial.number,
        phase=TrialPhase.SEARCH,
        architecture=trial.architecture,
        state=trial.state,
        order=trial.order,
        accuracy=trial.accuracy,
        accuracy_source=_TOLD_SOURCE if trial.accuracy is not None else "",
        macs=trial.macs,
        params=trial.params,
        readings=readings,
        fault=trial.fault,
        worker=trial.worker,
        finish_time=trial.finish_time,
    )

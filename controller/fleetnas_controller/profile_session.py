"""One session of `fleetnas latency profile`: opens table and fleet, profiles, gives the document."""

__all__ = ["ProfileSettings", "run_profile"]

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from fleetnas_controller.asking import default_statistic, device_selector, measurement_plan
from fleetnas_controller.chosen_statistics import statistic_of
from fleetnas_controller.jobs import Device
from fleetnas_controller.latency_profile import MORE_COUNT, LatencyProfile, ProfileResult, ProfileStep
from fleetnas_controller.network_files import files_for
from fleetnas_controller.progress import SearchProgress
from fleetnas_controller.run_folder import RunFolder, free_name
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_session import (
    SearchSession,
    SessionSettings,
)
from fleetnas_controller.self_tests import SelfTests
from fleetnas_controller.table_recorder import TableRecorder
from fleetnas_controller.trials import TrialPhase
from fleetnas_latency.exchange.shipped import shipped_packs_of
from fleetnas_latency.few_shot.chain_structure import ChainStructure
from fleetnas_latency.few_shot.few_shot_model import FewShotModel
from fleetnas_latency.few_shot.from_table import few_shot_model
from fleetnas_latency.operator_text import operator_key
from fleetnas_latency.statistics import Statistic
from fleetnas_latency.table import LatencyTable, open_table
from fleetnas_latency.target import Target
from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.registry import space as space_of
from fleetnas_search_spaces.weights import WeightPool

_SAMPLE_COUNT = 200


@dataclass(frozen=True, slots=True)
class ProfileSettings:
    """What a profile is to do.

    Attributes:
        budget: Networks to measure at most, the reference included.
        wanted_error: Relative median error to stop at; 0: use the budget.
    """

    space: str
    device: str
    budget: int
    wanted_error: float
    seed: int


def run_profile(settings: ProfileSettings, session: SessionSettings, *, quiet: bool) -> dict[str, Any]:
    """Profiles one device.

    Returns:
        The document of ``fleetnas latency profile --json``.

    Raises:
        FleetNASError: In every way that its children say.
    """
    if settings.budget < 4:
        raise InvalidArgumentError(
            f"the budget is {settings.budget}; give 4 or more: the reference, and three to learn from."
        )
    space = space_of(settings.space)
    device_selector(settings.device)
    name = free_name(session.runs_dir, f"profile-{settings.space}")
    with RunFolder.of(session.runs_dir, name).held(resume=False):
        table = open_table(session.runs_dir / "latency.db")
        try:
            result = _profiled(settings, session, space, table, name, quiet=quiet)
        finally:
            table.close()
    return _document(settings, result)


def _profiled(
    settings: ProfileSettings,
    session: SessionSettings,
    space: SearchSpace,
    table: LatencyTable,
    name: str,
    *,
    quiet: bool,
) -> ProfileResult:
    begin_time, rng = time.time(), Random(settings.seed)
    recorder = TableRecorder(table, space, f"{name}/{begin_time:.3f}", time.time)
    config = _as_search(settings, name)
    weights = WeightPool(session.runs_dir / "weights")
    opener = SearchSession({"name": name}, replace(session, resume=False))
    with (
        SearchProgress(config, quiet=quiet) as progress,
        opener.open_fleet(config, progress) as (client, devices),
    ):
        profile = LatencyProfile(
            space,
            run=f"{name}-{begin_time:.0f}",
            fleet=client,
            files=files_for(devices.values(), space, weights, client.put_artifact),
            plan=measurement_plan(_statistic(devices.get(settings.device), session), TrialPhase.SEARCH),
            device=settings.device,
            request_selector=device_selector(settings.device),
            model_of=_models(space, table, rng),
            observer=recorder,
            rng=rng,
            begin_time=begin_time,
        )
        result = profile.run(settings.budget, settings.wanted_error, lambda step: progress.say(_line(step)))
    recorder.learn()
    return result


def _statistic(device: Device | None, session: SessionSettings) -> Statistic:
    """None: only a selector of devices is known."""
    if device is None:
        return default_statistic(None)
    return statistic_of(device, SelfTests(session.runs_dir)).statistic


def _as_search(settings: ProfileSettings, name: str) -> SearchConfig:
    """What opening a fleet and showing progress want to know."""
    return SearchConfig(
        name=name,
        space=settings.space,
        strategy="latency-profile",
        accuracy="none",
        devices=(settings.device,),
        budget=settings.budget,
    )


def _models(space: SearchSpace, table: LatencyTable, rng: Random) -> Callable[[Target], FewShotModel]:
    sample = [space.canonical(space.sample(rng)) for _ in range(_SAMPLE_COUNT)]
    structure, published = ChainStructure(space), shipped_packs_of(space.name)
    return lambda target: few_shot_model(table, target, space, sample, structure, published)


def _line(step: ProfileStep) -> str:
    if step.median_error is None or step.foreseen_error is None:
        return f"{step.measured_count} networks known"
    return (
        f"{step.measured_count} networks known, median error {100 * step.median_error:.1f} %; {MORE_COUNT} more "
        f"would lower it to {100 * step.foreseen_error:.1f} %"
    )


def _document(settings: ProfileSettings, result: ProfileResult) -> dict[str, Any]:
    entries = [
        {
            "key": "overhead" if one.operator is None else operator_key(one.operator),
            "mean_ms": one.mean_ms,
            "std_ms": one.std_ms,
            "networks": one.network_count,
        }
        for one in sorted(result.model.coverage(), key=lambda one: -one.std_ms)
    ]
    return {
        "space": settings.space,
        "device": settings.device,
        "target": result.target.key,
        "networks": result.last.measured_count,
        "median_error": result.last.median_error,
        "more_measurements": MORE_COUNT,
        "foreseen_median_error": result.last.foreseen_error,
        "entries": entries,
        "faults": result.faults,
    }

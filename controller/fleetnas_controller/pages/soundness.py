"""Whether the runs that a page sends can have been timed at all: pages run on other people's clocks."""

__all__ = ["check_result"]

import math

from fleetnas_latency.measurement import Evidence, Plan, RawMeasurement, RunSeries
from fleetnas_search_spaces.errors import InvalidArgumentError

_MOST_FACTS = 100
_MOST_FACT_CHARACTERS = 2000
_MOST_DIGEST_NUMBERS = 100
_MOST_INNER_COUNT = 10_000_000


def check_result(raw: RawMeasurement, evidence: Evidence, plan: Plan, total_s: float) -> None:
    """Args:
        total_s: How long the attempt may have taken.

    Raises:
        InvalidArgumentError: With the value that cannot be.
    """
    for name, series in (("candidate", raw.candidate), ("anchor", raw.anchor)):
        _check_series(name, series, plan)
    _check("the clock's tick", raw.tick_ms, "ms", high=total_s * 1e3)
    _check("the number of runs of the warm-up", raw.warmup_run_count)
    _check("the warm-up's duration", raw.warmup_duration_s, "s", high=total_s)
    _check("the sampling's duration", raw.sampling_duration_s, "s", high=total_s)
    spent_s = sum(sum(one.wall_ms) * one.inner_count for one in (raw.candidate, raw.anchor)) / 1e3
    _check("the time of all runs together", spent_s, "s", high=total_s)
    _check("the length of the output's digest", len(evidence.digest), high=_MOST_DIGEST_NUMBERS)
    _check("the number of facts", len(evidence.facts), high=_MOST_FACTS)
    for key, value in evidence.facts:
        _check(f"the length of fact '{key[:40]}'", len(key) + len(value), high=_MOST_FACT_CHARACTERS)


def _check_series(name: str, series: RunSeries, plan: Plan) -> None:
    lengths = len(series.wall_ms), len(series.cpu_ms), len(series.rounds)
    if len(set(lengths)) > 1:
        raise InvalidArgumentError("the {} has {} runs, {} CPU times and {} rounds".format(name, *lengths))
    # The cap is looked at after a round, and a round has at most half as many.
    _check(f"the number of runs of the {name}", lengths[0], high=2 * plan.max_run_count)
    _check(
        f"the number of inferences in a run of the {name}", series.inner_count, low=1, high=_MOST_INNER_COUNT
    )
    for one in (*series.wall_ms, *series.cpu_ms):
        _check(f"a run of the {name}", one, "ms")
    before = -1
    for one in series.rounds:
        if one - before not in ((0, 1) if before >= 0 else (1,)):
            raise InvalidArgumentError(f"round {one} of the {name} comes after round {before}")
        before = one


def _check(what: str, value: float, unit: str = "", *, low: float = 0, high: float = math.inf) -> None:
    if not (low <= value <= high and math.isfinite(value)):
        raise InvalidArgumentError(f"{what} is {value:g} {unit}".rstrip())

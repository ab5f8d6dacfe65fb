"""What a device can tell apart: the same networks measured again and again, and compared with themselves."""

__all__ = ["Agreement", "SelfTest", "kendall_tau", "self_test", "smallest_difference"]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist, median

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.judgement import Measurement, Verdict
from fleetnas_latency.rounds import estimate_rounds
from fleetnas_latency.sampling import RunSeries
from fleetnas_latency.statistics import Estimate, Statistic, estimate, ratio_estimate, student_quantile
from fleetnas_search_spaces.errors import InvalidArgumentError

_FEWEST_NETWORKS = 5
_LEVEL = 0.95
# Deviations; two sessions that move every network alike would ask for 12.7, with which a self-test told nothing.
_WIDEST = 6.0
# Wall time is what a user waits for: another statistic has to repeat clearly better to become the headline.
_CLEARLY = 0.7

Session = Mapping[str, Measurement]
"""Measurements of one session by network, each beside the anchor."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one statistic agrees with itself.

    Attributes:
        relative: Whether it is taken over that of the anchor in the same rounds, or in milliseconds. An anchor whose
            weights fill the caches can be less steady than a smaller network: beside 15 busy processes on the other
            core its ratio repeated to 5.5 %, the milliseconds to 1.2 % (``benchmarks/README.md``).
        halves_tau: Kendall's tau between the networks' even and odd rounds, mean of the sessions.
        sessions_tau: The same between sessions, the worst pair of them.
        spread: Standard deviation of one value from session to session, relative.
        resolution: Difference of two values, relative, that the same network shows once in twenty times.
        false_alarm_rate: Part of the A/A' pairs that their own 95 % intervals call different.
    """

    statistic: Statistic
    relative: bool
    halves_tau: float
    sessions_tau: float
    spread: float
    resolution: float
    false_alarm_rate: float


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a device can tell apart.

    Attributes:
        chosen: The statistic that should be the device's headline.
        relative: Whether to compare it over the anchor's.
        reason: Why, in one sentence.
        agreements: Of every statistic its clocks allow, relative and not.
        measurement_s: Median time of one measurement, warm-up included.
        run_cv, run_iqr: Of the single runs, relative: standard deviation and interquartile range, median network.
        drift: Largest relative change of the anchor's headline from one session to another.
        ok_share: Part of the measurements with the verdict ok.
    """

    chosen: Statistic
    relative: bool
    reason: str
    agreements: tuple[Agreement, ...]
    network_count: int
    session_count: int
    measurement_s: float
    run_cv: float
    run_iqr: float
    drift: float
    ok_share: float

    @property
    def resolution(self) -> float:
        """Of the chosen statistic, as it is chosen to be compared."""
        wanted = (self.chosen, self.relative)
        return next(one.resolution for one in self.agreements if (one.statistic, one.relative) == wanted)

    def __str__(self) -> str:
        return (
            f"resolves {self.resolution:.1%} with {_LEVEL:.0%} confidence in {self.measurement_s:.1f} s a network, "
            f"by {_name(self.chosen, self.relative)}"
        )


def self_test(sessions: Sequence[Session], statistics: Sequence[Statistic] = tuple(Statistic)) -> SelfTest:
    """Compares two or more sessions of the same networks.

    Args:
        statistics: That mean a latency on this device; those its clocks do not give are left out.

    Raises:
        InvalidArgumentError: Fewer than two sessions or five networks, other networks in one of them, a
            measurement without an anchor, or no statistic that every measurement has.
    """
    names = _names(sessions)
    every = [session[name] for session in sessions for name in names]
    known = [one for one in statistics if all(any(measured.raw.candidate.samples(one)) for measured in every)]
    if not known:
        raise InvalidArgumentError(
            "no statistic is known of every measurement: measure again with 'wall_median'"
        )
    agreements = tuple(
        _agreement(one, relative, sessions, names) for one in known for relative in (True, False)
    )
    chosen, reason = _choice(agreements)
    series = [one.raw.candidate.wall_ms for one in every]
    return SelfTest(
        chosen=chosen.statistic,
        relative=chosen.relative,
        reason=reason,
        agreements=agreements,
        network_count=len(names),
        session_count=len(sessions),
        measurement_s=median(one.raw.warmup_duration_s + one.raw.sampling_duration_s for one in every),
        run_cv=median(float(np.std(one) / np.mean(one)) for one in series),
        run_iqr=median(
            float((np.quantile(one, 0.75) - np.quantile(one, 0.25)) / np.median(one)) for one in series
        ),
        drift=_anchor_drift(sessions, names, chosen.statistic),
        ok_share=sum(one.verdict is Verdict.OK for one in every) / len(every),
    )


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Part of the pairs in the same order less the part in opposite order; a tie counts for neither."""
    pairs = list(combinations(range(len(first)), 2))
    signs = [np.sign(first[i] - first[j]) * np.sign(second[i] - second[j]) for i, j in pairs]
    return float(sum(signs)) / len(pairs)


def _names(sessions: Sequence[Session]) -> list[str]:
    names = sorted(sessions[0]) if sessions else []
    if len(sessions) < 2 or len(names) < _FEWEST_NETWORKS:
        raise InvalidArgumentError(
            f"{len(sessions)} sessions of {len(names)} networks tell nothing: two of {_FEWEST_NETWORKS} are needed"
        )
    if any(sorted(one) != names for one in sessions):
        raise InvalidArgumentError("the sessions have different networks: measure the same in each")
    if any(measured.ratio is None for one in sessions for measured in one.values()):
        raise InvalidArgumentError("a measurement has no anchor: self-tests compare ratios to it")
    return names


def _agreement(
    statistic: Statistic, relative: bool, sessions: Sequence[Session], names: Sequence[str]
) -> Agreement:
    values = [{name: _value(session[name], statistic, relative) for name in names} for session in sessions]
    logs = np.log([[values[row][name].value for name in names] for row in range(len(sessions))])
    pairs = list(combinations(range(len(sessions)), 2))
    alarms = [_differ(values[first][name], values[second][name]) for first, second in pairs for name in names]
    return Agreement(
        statistic,
        relative,
        halves_tau=float(np.mean([_halves_tau(one, names, statistic, relative) for one in sessions])),
        sessions_tau=min(kendall_tau(logs[one].tolist(), logs[other].tolist()) for one, other in pairs),
        spread=math.sqrt(_variance(logs)),
        resolution=smallest_difference(logs),
        false_alarm_rate=sum(alarms) / len(alarms),
    )


def smallest_difference(logs: NDArray[np.float64]) -> float:
    """Two new values of one network are further apart than this in one case of twenty, relative.

    ``benchmarks/resolution_sim.py`` holds it against spreads whose truth is known.

    Args:
        logs: Logarithms of the values, shape (sessions, networks).
    """
    variance = _variance(logs)
    gaps = np.concatenate([abs(one - other) for one, other in combinations(logs, 2)])
    quantile = min(student_quantile(0.5 + _LEVEL / 2.0, _freedom(logs, variance)), _WIDEST)
    # Gaps have longer tails than the normal distribution, and so few sessions show only a part of them.
    tail = min(_LEVEL + 0.5 * math.sqrt(_LEVEL * (1.0 - _LEVEL) / len(gaps)), 1.0)
    normal = NormalDist().inv_cdf(0.5 + _LEVEL / 2.0)
    return max(quantile * math.sqrt(2.0 * variance), float(np.quantile(gaps, tail)) * quantile / normal)


def _variance(logs: NDArray[np.float64]) -> float:
    """Of one network from session to session, mean over the networks."""
    return float(np.var(logs, axis=0, ddof=1).mean())


def _freedom(logs: NDArray[np.float64], variance: float) -> int:
    """Degrees of freedom of the mean variance: networks that a session moves together count as fewer.

    Args:
        logs: Shape (sessions, networks).
    """
    session_count, network_count = len(logs), len(logs[0])
    common = network_count * float(np.var(logs.mean(axis=1), ddof=1)) - variance
    correlation = min(max(common / ((network_count - 1) * variance), 0.0), 1.0) if variance > 0.0 else 0.0
    independent = network_count * (session_count - 1)
    return max(int(independent / (1.0 + (network_count - 1) * correlation**2)), session_count - 1)


def _value(measured: Measurement, statistic: Statistic, relative: bool) -> Estimate:
    raw = measured.raw
    rounds = raw.candidate.by_round(statistic)
    if relative:
        return ratio_estimate(rounds, raw.anchor.by_round(statistic), statistic.quantile)
    return estimate_rounds(rounds, statistic.quantile)


def _differ(one: Estimate, other: Estimate) -> bool:
    """Whether two estimates are further apart than their 95 % intervals allow, as normal in the logarithm."""
    reach = math.hypot(math.log(one.high / one.low), math.log(other.high / other.low)) / 2.0
    return abs(math.log(one.value / other.value)) > reach


def _halves_tau(session: Session, names: Sequence[str], statistic: Statistic, relative: bool) -> float:
    halves = []
    for parity in (0, 1):
        values = []
        for name in names:
            raw = session[name].raw
            candidate, anchor = (_half(one, statistic, parity) for one in (raw.candidate, raw.anchor))
            values.append(candidate / anchor if relative else candidate)
        halves.append(values)
    return kendall_tau(*halves)


def _half(series: RunSeries, statistic: Statistic, parity: int) -> float:
    """The statistic over every second round."""
    rounds = series.by_round(statistic)[parity::2]
    return estimate([sample for one in rounds for sample in one], statistic.quantile).value


def _choice(agreements: Sequence[Agreement]) -> tuple[Agreement, str]:
    """What repeats best from session to session, wall time unless another statistic is clearly better."""
    best = min(agreements, key=lambda one: one.spread)
    walls = [one for one in agreements if one.statistic is Statistic.WALL_MEDIAN]
    wall = min(walls, key=lambda one: one.spread, default=None)
    repeats = f"it repeats to {best.spread:.2%} between sessions"
    if wall is None or best is wall:
        others = [one for one in agreements if one is not best]
        listed = ", ".join(f"{_name(one.statistic, one.relative)} to {one.spread:.2%}" for one in others)
        return best, f"{repeats} ({listed})"
    if best.spread < _CLEARLY * wall.spread:
        return best, f"{repeats}, {_name(wall.statistic, wall.relative)} only to {wall.spread:.2%}"
    return wall, (
        f"it is what a user waits for and repeats to {wall.spread:.2%} between sessions; "
        f"{_name(best.statistic, best.relative)} with {best.spread:.2%} is not clearly better"
    )


def _name(statistic: Statistic, relative: bool) -> str:
    return f"{statistic} relative to the anchor" if relative else f"{statistic} in milliseconds"


def _anchor_drift(sessions: Sequence[Session], names: Sequence[str], statistic: Statistic) -> float:
    values = [
        median(estimate(one[name].raw.anchor.samples(statistic), statistic.quantile).value for name in names)
        for one in sessions
    ]
    return max(values) / min(values) - 1.0

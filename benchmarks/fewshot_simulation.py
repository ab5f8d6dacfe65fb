"""Runtimes that no public column has: a device's own costs and its own noise, on what another runtime executes."""

__all__ = ["SIMULATIONS", "simulated_ms"]

import numpy as np
from numpy.typing import NDArray

from fleetnas_latency.few_shot.robust_fit import Measured, fit_robust
from fleetnas_latency.few_shot.robust_posterior import Believed
from fleetnas_latency.few_shot.structure import Structure
from fleetnas_search_spaces.cell_201 import OPERATION_NAMES, PATHS

SIMULATIONS = ("pruned", "parallel")
_ON_PATH = 0.7
_FITTED_COUNT = 2000
_LEAST_SHARE = 0.2
_RATIOS = (0.2, 5.0)
_CONVOLUTIONS = [index for index, name in enumerate(OPERATION_NAMES) if "conv" in name]

Floats = NDArray[np.float64]


def simulated_ms(
    kind: str,
    structure: Structure,
    believed: Believed,
    rows: Floats,
    choices: NDArray[np.int64],
    latency_ms: Floats,
    tick_ms: float,
) -> Floats:
    """Latencies of all cells had the device's runtime pruned dead edges, or also run branches side by side.

    The operators' costs are those that explain the column best; each cell gets the noise of another one, drawn at
    random. "parallel": 70 % of the convolutions' time passes on the path on which they take longest.

    Args:
        rows, choices, latency_ms: Of all cells; cells without a latency are NaN and lend no noise.
    """
    rng = np.random.default_rng(7)
    usable = np.flatnonzero(np.isfinite(latency_ms))
    costs_ms, best = _costs_ms(structure, believed, rows, latency_ms, rng.permutation(usable)[:_FITTED_COUNT])
    own_ms = np.maximum(rows[best] @ costs_ms, _LEAST_SHARE * np.median(latency_ms[usable]))
    ratios = np.clip((latency_ms / own_ms)[usable], *_RATIOS)
    names = [one.name for one in structure.hypotheses]
    counts = rows[names.index("canonical")]
    true_ms = counts @ costs_ms
    if kind == "parallel":
        work_ms = counts[:, _CONVOLUTIONS] @ costs_ms[_CONVOLUTIONS]
        true_ms -= _ON_PATH * (work_ms - _longest_ms(choices, costs_ms))
    noisy_ms = np.maximum(true_ms, _LEAST_SHARE * costs_ms[0]) * rng.choice(ratios, len(true_ms))
    return np.maximum(np.round(noisy_ms / tick_ms), 1.0) * tick_ms if tick_ms else noisy_ms


def _costs_ms(
    structure: Structure, believed: Believed, rows: Floats, latency_ms: Floats, fitted: NDArray[np.int64]
) -> tuple[Floats, int]:
    exact = np.zeros(len(fitted))
    weights = fit_robust(believed, Measured(rows[:, fitted], latency_ms[fitted], exact)).hypothesis_weights()
    best = int(weights[: len(structure.hypotheses) - 1].argmax())  # not the one with entries of its own
    only = Believed(believed.mean[[best]], believed.factor[[best]], np.ones(1))
    costs_ms, _ = fit_robust(only, Measured(rows[[best]][:, fitted], latency_ms[fitted], exact)).entries()
    return costs_ms, best


def _longest_ms(choices: NDArray[np.int64], costs_ms: Floats) -> Floats:
    work = np.zeros(len(OPERATION_NAMES))
    work[_CONVOLUTIONS] = costs_ms[_CONVOLUTIONS]
    longest = np.zeros(len(choices))
    for path in PATHS:
        walked = choices[:, list(path)]
        longest = np.maximum(longest, work[walked].sum(axis=1) * (walked > 0).all(axis=1))
    return longest

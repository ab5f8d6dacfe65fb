from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fleetnas_controller.hopeless_caps import HopelessLatency, check_exact_caps
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.strategy import Cap, CapKind
from fleetnas_controller.trials import TrialPhase
from fleetnas_latency.model import Prediction
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.errors import InfeasibleError, UnavailableError


def _config(**caps: float) -> SearchConfig:
    return SearchConfig("one", "tiny", "random", "made up", ("near",), **caps)  # type: ignore[arg-type]


def test_counts_that_no_network_keeps_are_refused_with_the_nearest_miss(tiny_space: SearchSpace) -> None:
    with pytest.raises(InfeasibleError, match=r"Nearest miss: 000 .params is \d+, cap 1"):
        check_exact_caps(_config(max_params=1.0), tiny_space)


def test_counts_that_some_network_keeps_are_not(tiny_space: SearchSpace) -> None:
    check_exact_caps(_config(), tiny_space)
    check_exact_caps(_config(max_params=1e12), tiny_space)


@pytest.mark.parametrize("strategy", ["random", "predictor"])
def test_search_ends_early_where_no_network_comes_near_the_latency_cap(searching: Any, strategy: str) -> None:
    outcome = searching.run("one", strategy=strategy, max_latency_ms=0.01, budget=40)
    assert outcome.hopeless_device == "near"
    assert outcome.found is None
    assert outcome.ranking
    assert 12 <= len(outcome.trials) < 20
    assert all(one.phase is not TrialPhase.CONFIRM for one in outcome.trials)


def test_search_goes_on_where_the_fastest_network_keeps_the_cap(searching: Any) -> None:
    outcome = searching.run("one", strategy="random", max_latency_ms=1.2, budget=80)  # 000 takes 1 ms
    assert outcome.hopeless_device == ""
    assert outcome.found == "000"


class _Sure:
    """Of a latency model: every network is predicted five deviations over a cap of 1 ms."""

    def __init__(self, network_count: int) -> None:
        self.network_count = network_count

    def predict(self, architectures: Sequence[Architecture]) -> Prediction:
        return Prediction(np.full(len(architectures), 1.5), np.full(len(architectures), 0.1))


@pytest.mark.parametrize(("network_count", "expected"), [(12, ""), (23, ""), (24, "near"), (48, "near")])
def test_deviation_that_was_learned_from_few_networks_is_trusted_less(
    tiny_space: SearchSpace, network_count: int, expected: str
) -> None:
    latency = HopelessLatency(tiny_space, (Cap(CapKind.LATENCY_MS, 1.0, "near"),))
    models: Any = {"near": _Sure(network_count)}
    latency.learned(models, {"near": 1.5})
    assert latency.device == expected


def test_killed_hopeless_search_ends_where_the_unbroken_one_does(searching: Any) -> None:
    settings = {"strategy": "random", "max_latency_ms": 0.01, "budget": 40}
    whole = searching.run("whole", **settings)
    for gone_after in (3, 6):
        with pytest.raises(UnavailableError):
            searching.run("broken", searching.fleet(gone_after), **settings)
    broken = searching.run("broken", **settings)
    assert [one.architecture for one in broken.trials] == [one.architecture for one in whole.trials]
    again = searching.run("broken", **settings)
    assert again.trials == broken.trials

from random import Random

import numpy as np
import pytest

from fleetnas_latency.batch_predictor import BatchPredictor
from fleetnas_latency.block_counts import BlockCounts
from fleetnas_latency.model import LatencyModel
from fleetnas_latency.segments import Segments
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.cost import macs
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.registry import space


def _fitted(found: SearchSpace, count: int = 40) -> LatencyModel:
    rng, noise = Random(1), np.random.default_rng(1)
    networks = [found.sample(rng) for _ in range(count)]
    values = np.array([0.5 + macs(found.graph(one)) / 4e7 for one in networks]) * noise.lognormal(
        0.0, 0.02, count
    )
    model = LatencyModel(found)
    model.observe(networks, values, 0.01 * values)
    return model


def _networks(found: SearchSpace, count: int, seed: int) -> list[Architecture]:
    rng = Random(seed)
    return [found.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("name", ["fbnet", "mobilenet-v2", "light-nas"])
def test_batch_says_what_the_model_says(name: str) -> None:
    found = space(name)
    model = _fitted(found)
    predictor = BatchPredictor(model, found)
    asked = _networks(found, 60, 2)
    fast, slow = predictor.predict(asked), model.predict(asked)
    np.testing.assert_allclose(fast.mean_ms, slow.mean_ms, rtol=1e-5)
    # A block that runs in two stages is rare and moves the deviation of its network only.
    assert np.median(np.abs(fast.std_ms / slow.std_ms - 1.0)) < 1e-3
    assert np.all(fast.std_ms > 0.7 * slow.std_ms)


def test_combinations_first_met_in_a_later_batch_are_learned() -> None:
    found = space("nas-bench-macro")
    model = _fitted(found, 10)
    predictor = BatchPredictor(model, found)
    predictor.predict([found.parse("00000000")])
    asked = [found.reference, found.parse("21020110")]
    np.testing.assert_allclose(predictor.predict(asked).mean_ms, model.predict(asked).mean_ms, rtol=1e-5)


def test_segments_serve_a_later_model_of_the_space() -> None:
    found = space("nas-bench-macro")
    model = _fitted(found)
    first = BatchPredictor(model, found)
    first.predict(_networks(found, 300, 4))
    met = [len(one) for one in first.segments.entries]
    model.observe([found.reference], [9.0], [0.1])
    second = BatchPredictor(model, found, first.segments)
    asked = _networks(found, 50, 5)
    fresh = [one for one in asked if one != found.reference]
    np.testing.assert_allclose(second.predict(fresh).mean_ms, model.predict(fresh).mean_ms, rtol=1e-5)
    assert [len(one) for one in first.segments.entries] >= met


def test_parts_depend_on_the_decisions_that_change_them() -> None:
    found = space("nas-bench-macro")
    segments = Segments(found, BlockCounts(found))
    assert segments.names == ("head", "stage0", "stage1", "stage2", "stem")
    places = segments.indices(np.array([[0] * 8, [0] * 7 + [1], [1] + [0] * 7]))
    changed = dict(zip(segments.names, places.T[1] != places.T[0], strict=True))
    assert [name for name, moved in changed.items() if moved] == ["stage2"]
    assert [
        name for name, one, other in zip(segments.names, *places.T[[0, 2]], strict=True) if one != other
    ] == ["stage0"]


class Entangled:
    """NAS-Bench-Macro, but two decisions together change a part that neither of them changes alone."""

    def __init__(self) -> None:
        self._inner = space("nas-bench-macro")

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def sample(self, rng: Random) -> Architecture:
        return self._inner.parse("00000000")

    def graph(self, architecture: Architecture) -> object:
        both = architecture.choices[0] == architecture.choices[7] == 2
        return self._inner.graph(self._inner.parse("20222222") if both else architecture)


def test_space_whose_parts_hang_together_is_refused() -> None:
    entangled = Entangled()
    segments = Segments(entangled, BlockCounts(entangled))  # type: ignore[arg-type]
    apart, both = np.array([[2] + [0] * 7]), np.array([[2] + [0] * 6 + [2]])
    segments.indices(apart)
    with pytest.raises(FailedPreconditionError, match="more decisions"):
        segments.indices(both)

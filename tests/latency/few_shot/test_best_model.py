"""What a target is predicted from, as measurements come in."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from sqlite_utils import Database

from fleetnas_latency.exchange.pack import Pack
from fleetnas_latency.exchange.shipped import shipped_pack, shipped_packs_of
from fleetnas_latency.few_shot.best_model import BestModel, best_model
from fleetnas_latency.operator_text import architecture_from_key
from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.fbnet import FBNet
from fleetnas_search_spaces.nas_bench_macro import NASBenchMacro
from fleetnas_search_spaces.operators import Precision

PHONE = Target("new phone", "ncnn", "1.0")
TRUTH = shipped_pack("fbnet-samsung_a50").observations
NETWORKS = [architecture_from_key(one.key) for one in TRUTH[100:200]]
TRUE_MS = np.array([one.latency.value for one in TRUTH[100:200]])


def _others() -> Sequence[Pack]:
    return [one for one in shipped_packs_of("fbnet") if one.target.device_model != "samsung_a50"]


def _model(measured_count: int, target: Target | None = PHONE) -> BestModel:
    table = LatencyTable(Database(memory=True))
    table.put_observations(
        [replace(one, target=PHONE, measurement_id=f"m{i}") for i, one in enumerate(TRUTH[:measured_count])]
    )
    return best_model(table, target, FBNet(), _others)


def test_unmeasured_device_is_a_guess_from_the_others_whose_interval_holds_the_truth() -> None:
    model = _model(0, None)
    found = model.predict(NETWORKS)
    assert model.guessed
    assert "pixel3" in model.lenders
    assert ((found.low_ms < TRUE_MS) & (found.high_ms > TRUE_MS)).mean() > 0.9
    assert np.all(found.high_ms > 3.0 * found.mean_ms)
    assert np.all(found.low_ms > 0.0)
    assert model.known_shares(NETWORKS[:3]) == [0.0, 0.0, 0.0]


def test_few_measurements_narrow_the_guess_and_own_blocks_count_as_known() -> None:
    guess, few = _model(0), _model(5)
    assert few.lenders
    assert few.network_count == 5
    widths = [np.median(one.predict(NETWORKS).high_ms / one.predict(NETWORKS).low_ms) for one in (guess, few)]
    assert widths[1] < 0.35 * widths[0]
    shares = few.known_shares(NETWORKS)
    assert min(shares) > 0.0
    assert max(shares) <= 1.0
    assert min(shares) < 0.9


def test_device_with_many_networks_borrows_nothing() -> None:
    model = _model(40)
    assert model.lenders == ()
    assert model.forecast is None
    assert model.network_count == 40


@pytest.mark.parametrize("measured_count", [0, 5])
def test_forecast_says_that_measuring_pays(measured_count: int) -> None:
    forecast = _model(measured_count).forecast
    assert forecast is not None
    assert forecast.more_count == 10
    assert forecast.later < forecast.now


def test_blocks_of_a_guess_add_up_to_it() -> None:
    model = _model(0)
    total = sum(one.mean_ms for one in model.explain(NETWORKS[0]))
    assert total == pytest.approx(model.predict(NETWORKS[:1]).mean_ms[0])


def test_one_lender_alone_still_gives_a_wide_finite_interval() -> None:
    table = LatencyTable(Database(memory=True))
    found = best_model(table, None, FBNet(), lambda: [shipped_pack("fbnet-pixel3")]).predict(NETWORKS[:1])
    assert 5.0 < found.high_ms[0] / found.mean_ms[0] < 100.0


def test_int8_device_is_not_guessed_from_fp32_ones() -> None:
    with pytest.raises(FailedPreconditionError, match="latency profile"):
        _model(0, replace(PHONE, precision=Precision.INT8))


def test_space_that_nobody_measured_is_refused() -> None:
    with pytest.raises(FailedPreconditionError, match="nas-bench-macro"):
        best_model(LatencyTable(Database(memory=True)), PHONE, NASBenchMacro(), lambda: ())

import pytest

from fleetnas_controller.caps import CapState, limits, report_caps
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.strategy import Cap, CapKind
from fleetnas_controller.trials import DeviceReading, Trial, TrialPhase, TrialState
from fleetnas_latency.statistics import Estimate
from fleetnas_search_spaces.errors import InvalidArgumentError


def _config(**caps: object) -> SearchConfig:
    source = "table:nas-bench-macro"
    return SearchConfig("one", "nas-bench-macro", "predictor", source, ("near", "far"), **caps)  # type: ignore[arg-type]


def _confirmation(**latency_ms: tuple[float, float]) -> Trial:
    readings = {
        device: DeviceReading("m-0", "t", "ok", "measured", Estimate((low + high) / 2, low, high))
        for device, (low, high) in latency_ms.items()
    }
    return Trial(0, TrialPhase.CONFIRM, "2", TrialState.FINISHED, macs=50, params=9, readings=readings)


def _states(config: SearchConfig, *confirmations: Trial) -> dict[str, CapState]:
    return {one.name: one.state for one in report_caps(config, confirmations)}


def test_each_device_has_its_own_cap() -> None:
    config = _config(device_max_latency_ms={"near": 15.0, "far": 40.0})
    assert limits(config, {}) == (
        Cap(CapKind.LATENCY_MS, 15.0, "near"),
        Cap(CapKind.LATENCY_MS, 40.0, "far"),
    )
    assert _states(config, _confirmation(near=(14.0, 15.5), far=(30.0, 31.0))) == {
        "latency_ms:near": CapState.NOT_KEPT,
        "latency_ms:far": CapState.KEPT,
    }


def test_a_device_without_its_own_cap_has_the_common_one() -> None:
    config = _config(max_latency_ms=40.0, device_max_latency_ms={"near": 15.0})
    assert [cap.limit for cap in limits(config, {})] == [15.0, 40.0]


def test_absolute_and_relative_caps_hold_together() -> None:
    config = _config(max_latency_ms=40.0, latency_drop=0.25)
    found = limits(config, {"near": 20.0, "far": 100.0})
    assert [cap.limit for cap in found] == [15.0, 40.0]


def test_a_device_that_did_not_answer_leaves_its_cap_not_measured() -> None:
    config = _config(max_latency_ms=40.0, max_macs=60.0, max_params=8.0)
    assert _states(config, _confirmation(near=(30.0, 31.0))) == {
        "latency_ms:near": CapState.KEPT,
        "latency_ms:far": CapState.NOT_MEASURED,
        "macs": CapState.KEPT,
        "params": CapState.NOT_KEPT,
    }


def test_the_worst_of_two_confirmations_decides() -> None:
    config = _config(max_latency_ms=40.0)
    first, second = (
        _confirmation(near=(30.0, 31.0), far=(1.0, 2.0)),
        _confirmation(near=(39.0, 41.0), far=(1.0, 2.0)),
    )
    assert _states(config, first, second)["latency_ms:near"] is CapState.NOT_KEPT


def test_caps_survive_the_store() -> None:
    config = _config(device_max_latency_ms={"near": 15.0})
    assert SearchConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("cap", [{"phone": 3.0}, {"near": 0.0}])
def test_caps_of_unknown_devices_and_of_nothing_are_refused(cap: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match="cap a device of the search"):
        _config(device_max_latency_ms=cap)

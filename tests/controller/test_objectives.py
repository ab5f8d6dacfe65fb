import pytest

from fleetnas_controller.objectives import costs, worst_accuracy_percent
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.strategy import CapKind, Cost
from fleetnas_search_spaces.errors import InvalidArgumentError


def _config(*objectives: str) -> SearchConfig:
    source = "table:nas-bench-macro"
    return SearchConfig("one", "nas-bench-macro", "predictor", source, ("near", "far"), objectives=objectives)


def test_latency_is_one_axis_for_each_device() -> None:
    found = costs(_config("accuracy", "latency:30", "macs"))
    assert found == (
        Cost(CapKind.LATENCY_MS, "near", 30.0),
        Cost(CapKind.LATENCY_MS, "far", 30.0),
        Cost(CapKind.MACS),
    )


def test_without_objectives_one_network_is_searched() -> None:
    assert costs(_config()) == ()
    assert not _config().seeks_front


def test_worst_accuracy_is_what_the_user_says_or_nothing() -> None:
    assert worst_accuracy_percent(_config("accuracy:85", "latency")) == 85.0
    assert worst_accuracy_percent(_config("accuracy", "latency")) == 0.0


def test_objectives_survive_the_store() -> None:
    config = _config("accuracy:85", "latency")
    assert SearchConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (("accuracy",), "name accuracy and at least one of"),
        (("latency",), "name accuracy and at least one of"),
        (("accuracy", "latncy"), "did you mean 'latency'"),
        (("accuracy", "macs", "macs"), "named twice"),
        (("accuracy:", "macs"), "no number above zero behind its colon"),
        (("accuracy", "latency:-1"), "no number above zero behind its colon"),
        (("accuracy", "latency:nan"), "no number above zero behind its colon"),
    ],
)
def test_unusable_objectives_are_refused(objectives: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        costs(_config(*objectives))

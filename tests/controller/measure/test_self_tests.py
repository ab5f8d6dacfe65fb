"""Self-tests are kept, and reports claim nothing finer."""

from pathlib import Path

import pytest

from fleetnas_controller.result_tables import summary_lines
from fleetnas_controller.self_tests import SelfTestRecord, SelfTests
from fleetnas_search_spaces.errors import DataLossError

RECORD = SelfTestRecord("shelf/3", "epyc/ort", 1.0, "cpu_p10", 0.013, "resolves 1.3%", "it repeats")


def test_record_is_found_again(tmp_path: Path) -> None:
    SelfTests(tmp_path).put(RECORD)
    assert SelfTests(tmp_path).find("shelf/3") == RECORD


def test_later_record_replaces_the_earlier_one(tmp_path: Path) -> None:
    tests = SelfTests(tmp_path)
    tests.put(RECORD)
    tests.put(SelfTestRecord("shelf/3", "epyc/ort", 2.0, "wall_median", 0.02, "resolves 2.0%", "it repeats"))
    found = tests.find("shelf/3")
    assert found is not None
    assert found.statistic == "wall_median"


def test_device_without_a_self_test_has_none(tmp_path: Path) -> None:
    assert SelfTests(tmp_path).find("host") is None


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": 99}', '{"version": 1, "device": "host"}'])
def test_broken_record_is_named(tmp_path: Path, content: str) -> None:
    path = SelfTests(tmp_path).put(RECORD)
    path.write_text(content)
    with pytest.raises(DataLossError, match="selftest"):
        SelfTests(tmp_path).find("shelf/3")


def _shown(change: dict[str, float]) -> str:
    latency = {"median": 1.0, "low": 0.9, "high": 1.1, "source": "measured"}
    network = {"latency_ms": {"host": latency}, "accuracy": 90.0}
    result = {
        "reference": network,
        "found": network,
        "change": {"latency": {"host": change}, "accuracy": 0.0},
    }
    return summary_lines(result)[1][2]


def test_report_refuses_a_change_finer_than_the_device_resolves() -> None:
    assert _shown({"value": -0.01, "resolution": 0.013}) == "none beyond 1.3 %, the device's resolution"


@pytest.mark.parametrize("change", [{"value": -0.2, "resolution": 0.013}, {"value": -0.2}])
def test_report_claims_a_change_that_the_device_resolves(change: dict[str, float]) -> None:
    assert _shown(change) == "-20.0 %"

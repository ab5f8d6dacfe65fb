"""A device whose speed changes, under a real controller with real agents."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.cli import main
from fleetnas_controller.health import CheckOutcome, CheckTrigger, HealthSettings
from fleetnas_controller.jobs import DeviceState, MeasurementState

QUICK = HealthSettings(interval_s=0.5, cool_down_s=0.1, repeat_limit=1, strike_retry_s=0.1)
SELDOM = HealthSettings(interval_s=1_000.0, cool_down_s=0.1, repeat_limit=1, strike_retry_s=0.1)


def passed(served: Any) -> bool:
    return any(one.outcome is CheckOutcome.PASSED for one in served.client.health_checks("a"))


def test_device_that_changed_its_speed_is_quarantined_until_an_operator_releases_it(
    serve: Callable[..., Any],
    processes: Any,
    measure: Any,
    until: Any,
    online: Any,
    tmp_path: Path,
    capsys: Any,
) -> None:
    served = serve(health=QUICK)
    agent = processes.agent(served.address, served.client.create_join_token(device_id="a").secret)
    online(served.client)
    until(lambda: passed(served))
    agent.kill()
    agent.wait()
    (tmp_path / "table.csv").write_text("arch,latency_ms\n12,5.0\n")
    agent = processes.agent(served.address, "")
    until(lambda: served.client.get_device("a").state is DeviceState.QUARANTINED)
    assert "usual 3." in served.client.get_device("a").reason
    waiting = measure(served.client).name
    agent.kill()
    agent.wait()
    served = serve(health=SELDOM)
    processes.agent(served.address, "")
    options = ["--controller", served.address, "--data-dir", str(served.data_dir), "--json"]
    until(lambda: served.client.get_device("a").reason.startswith("the anchor"))
    assert served.client.get_measurement(waiting).state is MeasurementState.QUEUED
    assert main(["device", "release", "a", *options]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "online"
    (record,) = served.client.wait_any([waiting], 20.0)
    assert record.state is MeasurementState.DONE
    until(lambda: served.client.health_checks("a")[0].outcome is CheckOutcome.PASSED)
    triggers = [one.trigger for one in served.client.health_checks("a", 2)]
    assert triggers == [CheckTrigger.ENROLMENT, CheckTrigger.RELEASE]


def test_long_history_comes_in_pages(
    serve: Callable[..., Any], processes: Any, until: Any, online: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetnas_controller.connection._PAGE_SIZE", 2)
    served = serve(health=HealthSettings(interval_s=0.01))
    processes.agent(served.address, served.client.create_join_token(device_id="a").secret)
    online(served.client)
    until(lambda: len(served.client.health_checks("a", 5)) == 5)
    whole = served.client.health_checks("a", 5)
    assert [one.number for one in whole] == list(range(whole[0].number, whole[0].number - 5, -1))

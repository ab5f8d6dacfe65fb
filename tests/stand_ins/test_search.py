"""A whole `fleetnas search` on a device that loads ncnn's files, through the real links and the native runner."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.cli import main
from fleetnas_controller.client import FleetClient
from fleetnas_latency.measurement import Plan

pytestmark = pytest.mark.slow
# No verdict may hang on how busy this machine is.
LENIENT = Plan(
    relative_half_width=9.0,
    contention_limit=1e6,
    cpu_contention_limit=1e6,
    drift_limit=1e6,
    min_run_count=8,
    min_round_count=2,
    round_duration_s=0.02,
    min_duration_s=0.1,
    max_duration_s=20.0,
    warmup_min_s=0.1,
    warmup_cap_s=0.5,
)


def test_search_measures_networks_on_the_device_and_confirms_what_it_found(
    make_phone: Callable[..., Any],
    client: FleetClient,
    join: Callable[..., Any],
    until: Any,
    left_in: Callable[[Any], list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "fleetnas_controller.search_session.measurement_plan", lambda statistic, phase: LENIENT
    )
    device = make_phone()
    join(device)
    until(lambda: client.list_devices(), "the device has joined")
    # A cap that every network keeps.
    options = ["--device", "d", "--max-latency-ms", "100000", "--strategy", "random", "--budget", "4"]
    place = ["--data-dir", str(tmp_path / "fleet"), "--runs-dir", str(tmp_path / "runs"), "--name", "one"]
    code = main(["search", "--controller", client.address, *place, *options, "--json"])  # type: ignore[attr-defined]
    result = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [cap["state"] for cap in result["caps"]] == ["kept"]
    latency = result["found"]["latency_ms"]["d"]
    assert 0.0 < latency["median"] < 100000.0
    # A stand-in's number is never called a device's.
    assert "measured" not in latency["source"]
    assert not left_in(device)

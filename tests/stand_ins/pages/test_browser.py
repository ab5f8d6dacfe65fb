"""From a link to a measured network in a real browser, and what may happen to a page on the way."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.jobs import DeviceState, FaultKind, MeasurementState
from fleetnas_latency.measurement import Plan, Verdict


@pytest.fixture(autouse=True)
def _browser_first(browser: Any) -> None:
    """What is missing skips a test before a controller is started for it."""


def leased(fleet: Any, name: str) -> Callable[[], bool]:
    return lambda: fleet.client.get_measurement(name).state is MeasurementState.LEASED


@pytest.mark.parametrize("simd", [True, False], ids=["simd", "no simd"])
def test_link_becomes_a_device_that_measures(
    fleet: Any, browser: Any, tmp_path: Path, plans: Sequence[Plan], simd: bool
) -> None:
    page = browser(simd=simd)
    page.open(f"{fleet.link()}&model=iPhone%206s")
    record = fleet.done(fleet.ask(tmp_path, "m", plan=replace(plans[0], anchor_share=0.5), anchored=True))
    assert record.state is MeasurementState.DONE, record.fault
    # The anchor beside it is the network itself.
    assert 0.3 < record.result.ratio.value < 3.0
    assert record.result.estimate.value > 0.0
    assert record.result.verdict is not Verdict.WRONG_OUTPUT
    evidence = dict(record.result.evidence)
    # The gate was there: the output was compared with one computed here.
    assert evidence["reference"].startswith("onnxruntime ")
    assert evidence["visibility"] == "visible"
    assert "HeadlessChrome" in evidence["user_agent"]
    version = "1.30.0 simd, " if simd else "1.18.0 nosimd, "
    assert record.target.runtime == "onnxruntime-web"
    assert record.target.runtime_version.startswith(version)
    assert (record.target.device_model, record.target.stand_in) == ("iPhone 6s", "chromium")


def test_page_that_is_reloaded_is_the_same_device_and_its_job_is_made_again(
    fleet: Any, browser: Any, tmp_path: Path, until: Any, plans: Sequence[Plan]
) -> None:
    page = browser()
    page.open(fleet.link())
    name = fleet.ask(tmp_path, "m", plan=plans[1])
    until(page.works_on(name), "the page works on the job")
    page.evaluate("location.reload()")
    until(lambda: fleet.client.get_measurement(name).attempt_count == 2, "the job is given again")
    record = fleet.client.get_measurement(name)
    assert record.fault.kind is FaultKind.INFRASTRUCTURE
    # It says goodbye where it still can, some browsers hide it first; else its next session does not know the job.
    assert any(word in record.fault.message for word in ("left", "hidden", "restarted"))
    assert [one.device_id for one in fleet.client.list_devices()] == ["phone"]
    until(page.works_on(name), "the page works on it again")
    # A cancelled job is stopped in the page, which then takes the next.
    fleet.client.cancel_measurement(name)
    assert fleet.done(fleet.ask(tmp_path, "n")).state is MeasurementState.DONE


def test_hidden_page_gives_its_job_back_and_takes_none_until_it_is_seen_again(
    fleet: Any, browser: Any, tmp_path: Path, until: Any, plans: Sequence[Plan]
) -> None:
    page = browser()
    page.open(fleet.link())
    name = fleet.ask(tmp_path, "m", plan=plans[1])
    until(page.works_on(name), "the page works on the job")
    turn = (
        "Object.defineProperty(document, 'visibilityState', {{value: '{}', configurable: true}});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.evaluate(turn.format("hidden"))
    until(lambda: fleet.client.get_device("phone").state is DeviceState.OFFLINE, "the page has left")
    record = fleet.client.get_measurement(name)
    assert record.state is MeasurementState.QUEUED
    assert "hidden" in record.fault.message
    fleet.client.cancel_measurement(name)
    page.evaluate(turn.format("visible"))
    assert fleet.done(fleet.ask(tmp_path, "n")).state is MeasurementState.DONE


def test_killed_browser_loses_its_job_and_comes_back_with_a_new_link(
    fleet: Any, browser: Any, tmp_path: Path, until: Any, plans: Sequence[Plan]
) -> None:
    page = browser()
    page.open(fleet.link())
    name = fleet.ask(tmp_path, "m", plan=plans[1])
    until(leased(fleet, name), "the job is given")
    page.kill()
    until(lambda: fleet.client.get_measurement(name).fault, "the lease ends")
    assert fleet.client.get_measurement(name).fault.kind is FaultKind.INFRASTRUCTURE
    fleet.client.cancel_measurement(name)
    again = browser()
    again.open(fleet.link())
    record = fleet.done(fleet.ask(tmp_path, "n"))
    assert record.state is MeasurementState.DONE
    assert [one.device_id for one in fleet.client.list_devices()] == ["phone"]


def test_controller_that_is_started_again_is_found_again_with_the_job_going_on(
    fleet: Any, browser: Any, tmp_path: Path, until: Any
) -> None:
    page = browser()
    page.open(fleet.link())
    plan = Plan(min_duration_s=5.0, max_duration_s=5.5, warmup_min_s=0.1, warmup_cap_s=0.3)
    name = fleet.ask(tmp_path, "m", plan=plan)
    until(page.works_on(name), "the page works on the job")
    fleet.stop()
    fleet.start()
    record = fleet.done(name)
    assert record.state is MeasurementState.DONE, record.fault
    assert record.attempt_count == 1


def test_file_with_another_content_than_its_digest_says_is_never_run(
    fleet: Any, browser: Any, tmp_path: Path
) -> None:
    name = fleet.ask(tmp_path, "m")
    for one in fleet.client.get_measurement(name).request.files:
        if one.path != "net.onnx":
            path = fleet.folder / "artifacts" / one.sha256
            path.write_bytes(bytes(len(path.read_bytes())))
    browser().open(fleet.link())
    record = fleet.done(name)
    assert record.state is MeasurementState.FAILED
    assert record.fault.kind is FaultKind.INFRASTRUCTURE
    assert "arrived with SHA-256" in record.fault.message


def test_used_up_link_says_so_and_what_to_do(fleet: Any, browser: Any, until: Any) -> None:
    link = fleet.link()
    first, second = browser(), browser()
    first.open(link)
    until(lambda: "connected as phone" in first.says(), "the first page is in")
    assert "token" not in first.says("location.href")
    second.open(link)
    until(lambda: "fleetnas device token" in second.says(), "the second page is told")
    assert "used up" in second.says()

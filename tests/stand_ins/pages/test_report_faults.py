"""Reports that no sound page sends: each is refused, or gives its job back, and the session goes on."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.stand_ins.pages.fake_page import TARGET, FakePage, ask, closed, heard, result_of, say

from fleetnas_controller.jobs import FaultKind, MeasurementState
from fleetnas_latency.measurement import Verdict
from fleetnas_protos.v1 import fleet_pb2, measurement_pb2

pytestmark = pytest.mark.usefixtures("site")
Change = Callable[[measurement_pb2.MeasurementResult], Any]
KIND = measurement_pb2.Fault.Kind


def changed(change: Change) -> measurement_pb2.MeasurementResult:
    result = result_of(digest=[1.0])
    change(result)
    return result


@pytest.fixture
def reports(fleet: Any, as_page: Any, tmp_path: Path) -> Callable[..., tuple[Any, Any]]:
    """What a page is answered that reports so about its job, and the measurement after it."""

    def report(**fields: Any) -> tuple[Any, Any]:
        answers = []

        async def part(page: FakePage) -> None:
            await page.enrol()
            async with page.session() as socket:
                await page.hello(socket)
                name = await asyncio.to_thread(fleet.ask, tmp_path, "m")
                lease = (await heard(socket, "assignment")).lease
                await say(socket, report=fleet_pb2.Report(**{"lease": lease, "target": TARGET, **fields}))
                answers.append(await heard(socket, "acknowledgement"))
                answers.append(await asyncio.to_thread(fleet.client.get_measurement, name))
                # The session outlives every report.
                await say(socket, heartbeat=fleet_pb2.Heartbeat())
                await heard(socket, "heartbeat")

        as_page(part)
        return answers[0], answers[1]

    return report


def _set(name: str, index: int, value: float) -> Change:
    def change(result: measurement_pb2.MeasurementResult) -> None:
        getattr(result.raw.candidate, name)[index] = value

    return change


UNUSABLE: dict[str, Change] = {
    "no number": _set("wall_ms", 3, math.nan),
    "endless": _set("wall_ms", 3, math.inf),
    "negative": _set("wall_ms", 3, -2.0),
    "zero in all": lambda result: result.raw.candidate.wall_ms.__setitem__(slice(None), [0.0] * 12),
    "a day for one run": _set("wall_ms", 3, 86_400e3),
    "CPU time that is no number": _set("cpu_ms", 3, math.nan),
    "runs without rounds": lambda result: result.raw.candidate.rounds.pop(),
    "runs without CPU times": lambda result: result.raw.candidate.cpu_ms.pop(),
    "rounds backwards": _set("rounds", 11, -7),
    "a round at the end of all numbers": _set("rounds", 11, 2**31 - 1),
    "loops of no run": lambda result: setattr(result.raw.candidate, "inner_count", 0),
    "loops of fewer than no run": lambda result: setattr(result.raw.candidate, "inner_count", -3),
    "more runs than were asked for": lambda result: (
        result.raw.candidate.wall_ms.extend([2.0] * 45_000),
        result.raw.candidate.cpu_ms.extend([0.0] * 45_000),
        result.raw.candidate.rounds.extend([11] * 45_000),
    ),
    "a tick that is no number": lambda result: setattr(result.raw, "tick_ms", math.nan),
    "a negative tick": lambda result: setattr(result.raw, "tick_ms", -1.0),
    "a warm-up of less than nothing": lambda result: setattr(result.raw, "warmup_run_count", -1),
    "an end before its beginning": lambda result: result.raw.sampling_duration.FromSeconds(-5),
    "no reason to stop": lambda result: setattr(result.raw, "stop_reason", 0),
    "a reason to stop from the future": lambda result: setattr(result.raw, "stop_reason", 77),
    "an anchor whose runs have no rounds": lambda result: result.raw.anchor.wall_ms.append(2.0),
    "a digest of ten thousand numbers": lambda result: result.digest.extend([1.0] * 10_000),
    "evidence of a megabyte": lambda result: result.evidence.update(user_agent="x" * (1 << 20)),
    "a thousand facts": lambda result: result.evidence.update({f"fact{one}": "1" for one in range(1000)}),
}


@pytest.mark.parametrize("change", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_runs_that_no_clock_gives_send_the_job_elsewhere(reports: Any, change: Change) -> None:
    answer, record = reports(result=changed(change))
    assert answer.accepted, answer.reason
    assert record.result is None
    assert record.fault.kind is FaultKind.UNSOUND
    assert record.fault.message.startswith("the page's result cannot be judged: ")
    assert len(record.fault.message) <= 500


@pytest.mark.parametrize("digest", [[math.nan] * 10, [math.inf] * 10, [5.0] * 3], ids=str)
def test_output_that_is_no_number_or_another_is_wrong(reports: Any, digest: list[float]) -> None:
    _, record = reports(result=result_of(digest))
    assert record.result.verdict is Verdict.WRONG_OUTPUT


def test_verdict_that_a_page_gives_itself_counts_for_nothing(reports: Any) -> None:
    claimed = result_of([5.0] * 3)
    claimed.verdict = measurement_pb2.MeasurementResult.Verdict.OK
    claimed.estimate.value = 0.001
    _, record = reports(result=claimed)
    assert record.result.verdict is Verdict.WRONG_OUTPUT
    assert record.result.estimate.value == pytest.approx(2.001)


@pytest.mark.parametrize(
    ("kind", "state", "counted"),
    [
        (KIND.INFRASTRUCTURE, MeasurementState.QUEUED, FaultKind.INFRASTRUCTURE),
        (KIND.CRASH, MeasurementState.QUEUED, FaultKind.CRASH),
        (KIND.MODEL, MeasurementState.FAILED, FaultKind.MODEL),
    ],
)
def test_fault_ends_or_repeats_the_job_by_its_kind(
    reports: Any, kind: Any, state: MeasurementState, counted: FaultKind
) -> None:
    _, record = reports(fault=measurement_pb2.Fault(kind=kind, message="said so"))
    # It may be leased again by now.
    assert record.state is state or (record.state is MeasurementState.LEASED and not state.finished)
    assert (record.fault.kind, record.fault.message) == (counted, "said so")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "neither a result nor a fault"),
        ({"fault": measurement_pb2.Fault(message="of no kind")}, "`kind`"),
        (
            {"lease": fleet_pb2.Lease(measurement="measurements/other", fencing_token=1)},
            "no such measurement",
        ),
        ({"lease": fleet_pb2.Lease(measurement="measurements/m", fencing_token=999)}, "never given"),
    ],
    ids=["empty", "no kind", "unknown job", "token of nobody"],
)
def test_report_that_cannot_count_is_told_why_and_the_job_goes_on(
    reports: Any, fields: dict[str, Any], reason: str
) -> None:
    outcome = {} if not fields or "fault" in fields else {"result": result_of([1.0])}
    answer, record = reports(**outcome, **fields)
    assert not answer.accepted
    assert reason in answer.reason
    assert record.state is MeasurementState.LEASED


def test_endless_words_of_a_fault_are_kept_as_one_short_line(reports: Any) -> None:
    answer, record = reports(fault=measurement_pb2.Fault(kind=KIND.MODEL, message="no\nend " * 100_000))
    assert answer.accepted
    assert record.fault.message.startswith("no end no end")
    assert len(record.fault.message) <= 2000


@pytest.mark.parametrize("name", ["../../etc/passwd", ""], ids=["path", "nothing"])
def test_report_of_what_can_be_no_job_ends_the_session(as_page: Any, name: str) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            await say(socket, report=fleet_pb2.Report(lease=fleet_pb2.Lease(measurement=name)))
            code, reason = await closed(socket)
            assert (code, "is no name in measurements" in reason) == (4400, True)

    as_page(part)


def test_result_of_a_job_that_was_cancelled_does_not_count(fleet: Any, as_page: Any, tmp_path: Path) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            lease = await ask(fleet, tmp_path, socket)
            await asyncio.to_thread(fleet.client.cancel_measurement, "m")
            assert (await heard(socket, "cancellation")).lease == lease
            await say(socket, report=fleet_pb2.Report(lease=lease, target=TARGET, result=result_of([1.0])))
            answer = await heard(socket, "acknowledgement")
            assert (answer.accepted, "cancelled already" in answer.reason) == (False, True)

    as_page(part)
    assert fleet.client.get_measurement("m").result is None


def test_page_cannot_report_the_job_of_another(fleet: Any, as_page: Any, tmp_path: Path) -> None:
    async def part(owner: FakePage) -> None:
        stranger = FakePage(fleet, owner._session)
        await owner.enrol()
        async with owner.session() as mine:
            await owner.hello(mine)
            name = await asyncio.to_thread(fleet.ask, tmp_path, "m")
            lease = (await heard(mine, "assignment")).lease
            await stranger.enrol("other")
            async with stranger.session() as theirs:
                await stranger.hello(theirs, device="other")
                for outcome in (
                    {"result": result_of([1.0])},
                    {"fault": measurement_pb2.Fault(kind=KIND.MODEL)},
                ):
                    await say(theirs, report=fleet_pb2.Report(lease=lease, target=TARGET, **outcome))
                    answer = await heard(theirs, "acknowledgement")
                    assert (answer.accepted, "never given to devices/other" in answer.reason) == (False, True)
                    # Nor read its files by the lease that it claims.
                    sha256 = (
                        (await asyncio.to_thread(fleet.client.get_measurement, name)).request.files[0].sha256
                    )
                    assert (await stranger.get(f"files/{sha256}"))[0] == 403

    as_page(part)
    assert fleet.client.get_measurement("m").result is None


def test_report_that_comes_again_counts_once(fleet: Any, as_page: Any, tmp_path: Path) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            lease = await ask(fleet, tmp_path, socket)
            report = fleet_pb2.Report(lease=lease, target=TARGET, result=result_of([1.0]))
            for _ in range(3):
                await say(socket, report=report)
            answers = [await heard(socket, "acknowledgement") for _ in range(3)]
            assert [one.accepted for one in answers] == [True, False, False]
            assert "done already" in answers[1].reason

    as_page(part)
    assert fleet.client.get_measurement("m").attempt_count == 1


def test_flood_of_reports_ends_the_session_and_not_the_controller(
    fleet: Any, as_page: Any, tmp_path: Path
) -> None:
    async def part(page: FakePage) -> None:
        await page.enrol()
        async with page.session() as socket:
            await page.hello(socket)
            lease = await ask(fleet, tmp_path, socket)
            for _ in range(40):
                await say(
                    socket, report=fleet_pb2.Report(lease=lease, target=TARGET, result=result_of([1.0]))
                )
            code, reason = await closed(socket)
            assert (code, "under way already" in reason) == (4429, True)
        async with page.session() as socket:
            await page.hello(socket)

    as_page(part)

"""What an agent keeps on disk."""

import asyncio
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetnas_agents.jobs import FaultKind, Job, Lease, MeasureError, ModelFile
from fleetnas_agents.state import AgentState
from fleetnas_agents.wire import lease_to_pb, report_to_pb
from fleetnas_search_spaces.errors import DataLossError, FailedPreconditionError


@pytest.fixture
def state(tmp_path: Path) -> AgentState:
    return AgentState(tmp_path / "agent")


def fetch(state: AgentState, job: Job, shelf: Any) -> Path:
    return asyncio.run(state.job_folder(job, shelf.download))


def test_credential_is_readable_by_its_owner_only(state: AgentState, tmp_path: Path) -> None:
    state.keep_private("credential", b"secret")
    assert AgentState(tmp_path / "agent").credential == "secret"
    assert stat.S_IMODE((tmp_path / "agent" / "credential").stat().st_mode) == 0o600


def test_agent_without_a_credential_has_an_empty_one(state: AgentState) -> None:
    assert state.credential == ""


@pytest.mark.parametrize("damage", [b"\xff\xfe", None])
def test_credential_that_cannot_be_read_is_named_with_its_cure(
    state: AgentState, tmp_path: Path, damage: bytes | None
) -> None:
    state.keep_private("credential", b"secret")
    path = next(tmp_path.rglob("credential"))
    path.unlink()
    path.write_bytes(damage) if damage else path.mkdir()
    with pytest.raises(DataLossError, match="Delete it and enrol"):
        _ = state.credential


def test_files_lie_under_the_names_the_job_gives(state: AgentState, shelf: Any, make_network: Any) -> None:
    job = shelf.job(anchor=b"anchor")
    folder = fetch(state, job, shelf)
    assert (folder / "net.onnx").read_bytes() == make_network()
    assert (folder / "anchor.onnx").read_bytes() == b"anchor"


def test_file_is_fetched_once(state: AgentState, shelf: Any, next_lease: Callable[[Job], Job]) -> None:
    job = shelf.job()
    fetch(state, job, shelf)
    fetch(state, next_lease(job), shelf)
    assert len(shelf.asked) == 1


def test_broken_download_is_gone_on_with(state: AgentState, shelf: Any) -> None:
    job = shelf.job(content=b"0123456789" * 1000)
    shelf.breaks_after = 3
    with pytest.raises(MeasureError, match="connection was lost"):
        fetch(state, job, shelf)
    shelf.breaks_after = None
    folder = fetch(state, job, shelf)
    assert (folder / "net.onnx").read_bytes() == b"0123456789" * 1000
    assert shelf.offsets == [0, 3000]


def test_leftover_that_is_too_long_is_begun_anew(state: AgentState, shelf: Any, tmp_path: Path) -> None:
    job = shelf.job()
    file = job.files[0]
    (tmp_path / "agent" / "cache" / f".{file.sha256}.part").write_bytes(bytes(file.size_bytes + 1))
    assert (fetch(state, job, shelf) / "net.onnx").stat().st_size == file.size_bytes
    assert shelf.offsets == [0]


@pytest.mark.parametrize("arrives", [b"", b"short", b"x" * 100_000])
def test_file_that_did_not_arrive_whole_is_not_kept(state: AgentState, shelf: Any, arrives: bytes) -> None:
    job = shelf.job()
    whole = shelf.files[job.files[0].sha256]
    shelf.files[job.files[0].sha256] = arrives
    with pytest.raises(MeasureError, match="did not arrive as announced") as caught:
        fetch(state, job, shelf)
    assert caught.value.kind is FaultKind.INFRASTRUCTURE
    shelf.files[job.files[0].sha256] = whole
    assert (fetch(state, job, shelf) / "net.onnx").read_bytes() == whole


def test_garbage_of_the_right_size_is_not_kept(state: AgentState, shelf: Any) -> None:
    job = shelf.job()
    shelf.files[job.files[0].sha256] = bytes(job.files[0].size_bytes)
    with pytest.raises(MeasureError):
        fetch(state, job, shelf)


@pytest.mark.parametrize("path", ["../outside.onnx", "/tmp/outside.onnx"])
def test_name_that_leads_out_is_refused(state: AgentState, shelf: Any, path: str) -> None:
    job = shelf.job()
    file = ModelFile(path, job.files[0].sha256, job.files[0].size_bytes)
    with pytest.raises(MeasureError, match="leads out"):
        fetch(state, replace(job, files=(file,)), shelf)


def test_full_disk_ends_a_job_and_nothing_of_it_stays(
    tmp_path: Path, shelf: Any, small_disk: Callable[[Path, int], Path]
) -> None:
    disk = small_disk(tmp_path / "disk", 256)
    state = AgentState(disk / "agent")
    with pytest.raises(MeasureError, match="no space left on the agent") as caught:
        fetch(state, shelf.job(anchor=b"anchor", content=bytes(400_000)), shelf)
    assert caught.value.kind is FaultKind.INFRASTRUCTURE
    assert [one for one in (disk / "agent").rglob("*") if one.is_file() and one.name != "lock"] == []
    assert list((disk / "agent" / "jobs").iterdir()) == []
    assert (fetch(state, shelf.job(), shelf) / "net.onnx").is_file()


def test_longest_unused_files_go_first(tmp_path: Path, shelf: Any) -> None:
    state = AgentState(tmp_path / "agent", cache_bytes=25_000)
    for content in (b"a" * 20_000, b"b" * 20_000):
        fetch(state, shelf.job(content=content), shelf)
    assert [path.stat().st_size for path in (tmp_path / "agent" / "cache").iterdir()] == [20_000]


def test_reports_survive_a_restart_until_they_are_answered(state: AgentState, tmp_path: Path) -> None:
    lease = Lease("measurements/m", 3)
    report = report_to_pb(lease, MeasureError(FaultKind.MODEL, "no such operator"))
    state.keep_report(report)
    assert AgentState(tmp_path / "agent").reports() == [report]
    state.drop_report(lease_to_pb(lease))
    assert AgentState(tmp_path / "agent").reports() == []


def test_damaged_report_is_dropped(state: AgentState, tmp_path: Path) -> None:
    damaged = tmp_path / "agent" / "reports" / "measurements-m-1.pb"
    damaged.write_bytes(b"\xff\xff\xff")
    assert state.reports() == []
    assert not damaged.exists()


def test_folders_of_an_agent_that_died_are_swept(state: AgentState, tmp_path: Path, shelf: Any) -> None:
    folder = fetch(state, shelf.job(), shelf)
    with AgentState(tmp_path / "agent").held():
        pass
    assert not folder.exists()


def test_folder_belongs_to_one_agent_at_a_time(state: AgentState, tmp_path: Path) -> None:
    with (
        state.held(),
        pytest.raises(FailedPreconditionError, match="another agent works in"),
        AgentState(tmp_path / "agent").held(),
    ):
        pass
    with AgentState(tmp_path / "agent").held():
        pass


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FailedPreconditionError, match="file/agent' cannot be used"):
        AgentState(tmp_path / "file" / "agent")


def test_attempt_to_join_is_the_same_until_it_succeeded(tmp_path: Path) -> None:
    first = AgentState(tmp_path).attempt_id()
    assert AgentState(tmp_path).attempt_id() == first
    (tmp_path / "joining").write_text("half")
    second = AgentState(tmp_path).attempt_id()
    assert second != first
    AgentState(tmp_path).joined()
    assert AgentState(tmp_path).attempt_id() != second
    assert (tmp_path / "joining").stat().st_mode & 0o077 == 0

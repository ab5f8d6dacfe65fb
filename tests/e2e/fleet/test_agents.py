"""Agents that die, freeze, and come back; a controller that is killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.cli import main
from fleetnas_controller.client import FleetClient
from fleetnas_controller.jobs import DeviceState, MeasurementRequest, MeasurementState, ModelFile
from fleetnas_controller.operator import operator_token
from fleetnas_search_spaces.errors import UnavailableError

Measure = Callable[..., Any]
Until = Callable[[Callable[[], Any]], Any]
Online = Callable[..., Any]


def join(served: Any, processes: Any, *, pause_s: float = 0.0) -> Any:
    token = served.client.create_join_token(device_id="a", use_count=1).secret
    return processes.agent(served.address, token, pause_s=pause_s)


def leased(client: FleetClient, name: str, attempt: int = 1) -> bool:
    record = client.get_measurement(name)
    return record.state is MeasurementState.LEASED and record.attempt_count == attempt


def done(client: FleetClient, name: str) -> Any:
    (record,) = client.wait_any([name], 20.0)
    assert record.state is MeasurementState.DONE, record.fault
    return record


def test_agent_joins_measures_and_reports(served: Any, processes: Any, measure: Measure) -> None:
    join(served, processes)
    record = done(served.client, measure(served.client).name)
    assert record.target.stand_in == "replay"
    assert record.result.estimate.value == pytest.approx(3.5, rel=0.05)
    assert record.attempt_count == 1


def test_killed_agents_job_runs_again_and_counts_once(
    served: Any, processes: Any, measure: Measure, until: Until
) -> None:
    agent = join(served, processes, pause_s=1.0)
    name = measure(served.client).name
    until(lambda: leased(served.client, name))
    agent.kill()
    processes.agent(served.address, "", pause_s=0.0)
    record = done(served.client, name)
    assert record.attempt_count == 2
    assert record.fault.message


def test_frozen_agents_lease_ends_and_its_work_is_done_in_the_end(
    served: Any, processes: Any, measure: Measure, until: Until
) -> None:
    agent = join(served, processes, pause_s=0.8)
    name = measure(served.client).name
    until(lambda: leased(served.client, name))
    agent.send_signal(signal.SIGSTOP)
    until(lambda: served.client.get_measurement(name).state is MeasurementState.QUEUED)
    device = served.client.get_device("a")
    assert (device.state, device.holder) == (DeviceState.OFFLINE, "")
    assert "silent" in device.reason
    agent.send_signal(signal.SIGCONT)
    assert done(served.client, name).attempt_count >= 1


def test_cancelled_job_makes_room_for_the_next(
    served: Any, processes: Any, measure: Measure, until: Until
) -> None:
    join(served, processes, pause_s=1.0)
    first = measure(served.client, "m1").name
    until(lambda: leased(served.client, first))
    assert served.client.cancel_measurement(first).state is MeasurementState.CANCELLED
    assert done(served.client, measure(served.client, "m2").name).attempt_count == 1


def test_network_that_the_device_refuses_fails_with_its_words(served: Any, processes: Any) -> None:
    join(served, processes)
    artifact = served.client.put_artifact(b"no network")
    files = (ModelFile("net.onnx", artifact.sha256, artifact.size_bytes),)
    record = served.client.create_measurement(MeasurementRequest("m", files, "net.onnx"))
    (failed,) = served.client.wait_any([record.name], 20.0)
    assert (failed.state, failed.attempt_count) == (MeasurementState.FAILED, 1)
    assert "names no architecture" in failed.fault.message


def test_removed_agent_ends_with_one_line(served: Any, processes: Any, online: Online) -> None:
    agent = join(served, processes)
    online(served.client)
    served.client.remove_device("a")
    _, said = agent.communicate(timeout=20)
    assert agent.returncode == 1
    assert said.splitlines()[-1].startswith("fleetnas-agent: the controller refuses this agent")


@pytest.mark.parametrize("token", ["", "guessed"])
def test_agent_without_a_good_token_ends_with_one_line(served: Any, processes: Any, token: str) -> None:
    agent = processes.agent(served.address, token)
    _, said = agent.communicate(timeout=20)
    assert agent.returncode == 1
    assert "token" in said.splitlines()[-1]


def test_agent_with_an_id_that_cannot_be_ends_with_one_line(served: Any, processes: Any) -> None:
    token = served.client.create_join_token().secret
    agent = processes.agent(served.address, token, device_id="a b")
    assert agent.wait(20) == 1
    assert "'a b' is no name in devices" in agent.stderr.read().splitlines()[-1]


def test_expired_token_is_said(served: Any, processes: Any) -> None:
    token = served.client.create_join_token(ttl_s=0.001).secret
    agent = processes.agent(served.address, token)
    _, said = agent.communicate(timeout=20)
    assert agent.returncode == 1
    assert "expired" in said.splitlines()[-1]


def test_token_of_an_agent_is_neither_in_ps_nor_in_its_log(
    served: Any, processes: Any, online: Online
) -> None:
    token = served.client.create_join_token(device_id="a").secret
    agent = processes.agent(served.address, token)
    online(served.client)
    assert token not in Path(f"/proc/{agent.pid}/cmdline").read_text()
    agent.terminate()
    _, said = agent.communicate(timeout=20)
    assert "joined as devices/a" in said
    assert token not in said


def test_killed_controller_loses_nothing(
    processes: Any, measure: Measure, until: Until, online: Online, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    data_dir = tmp_path / "fleet"
    command = ["fleetnas_controller.cli", "serve", "--listen", address, "--data-dir", str(data_dir)]
    controller = processes.start(command)
    until((data_dir / "operator.token").exists)
    with FleetClient(address, operator_token(data_dir)) as client:
        until(lambda: answers(client))
        processes.agent(address, client.create_join_token(device_id="a").secret, pause_s=1.0)
        first, second = measure(client, "m1").name, measure(client, "m2").name
        # Not before its files are there: a download that is cut off is rightly a second attempt.
        until(lambda: processes.traced("begin") == 1)
        controller.send_signal(signal.SIGKILL)
        controller.wait()
    processes.start(command)
    with FleetClient(address, operator_token(data_dir)) as client:
        until(lambda: answers(client))
        for name in (first, second):
            assert done(client, name).attempt_count == 1


def test_agent_and_worker_end_with_a_search_that_is_killed(tmp_path: Path, until: Until) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from fleetnas_controller.embedded import AgentCommand, EmbeddedFleet\n"
        "fleet = EmbeddedFleet(Path(sys.argv[1]), AgentCommand('host', ('--driver', 'host')))\n"
        "fleet.__enter__(); fleet.wait_for_agent()\n"
        "print(fleet._process.pid, flush=True); time.sleep(60)\n"
    )
    search = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert search.stdout is not None
    agent_pid = int(search.stdout.readline())
    search.kill()
    search.communicate()
    until(lambda: not alive(agent_pid))


def answers(client: FleetClient) -> bool:
    try:
        client.list_devices()
    except UnavailableError:
        return False
    return True


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_search_ends_when_its_device_is_removed(
    served: Any,
    processes: Any,
    online: Online,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    agent = join(served, processes)
    online(served.client)
    agent.kill()
    monkeypatch.setattr("fleetnas_controller.trial_runner._WAIT_S", 0.5)
    removing = threading.Timer(3.0, served.client.remove_device, ["a"])
    removing.start()
    code = main(
        ["search", "--controller", served.address, "--data-dir", str(served.data_dir), "--device", "a",
         "--runs-dir", str(tmp_path / "runs"), "--budget", "6"]
    )  # fmt: skip
    removing.join()
    assert code == 1
    assert "no device 'a'" in capsys.readouterr().err.splitlines()[-1]

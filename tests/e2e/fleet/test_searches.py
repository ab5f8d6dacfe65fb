"""Searches and latencies over the wire, with a real controller and a replayed device."""

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fleetnas_controller.cli import main
from fleetnas_controller.client import FleetClient
from fleetnas_controller.operator import operator_token
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.search_records import SearchState, ToldLatency
from fleetnas_controller.trials import TrialState
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
)

TOLD = SearchConfig("told", "nas-bench-macro", "evolution", "client", ("phone",), budget=12)
RUN = SearchConfig(
    "run", "nas-bench-macro", "random", "table:nas-bench-macro", ("a",), max_latency_ms=100.0, budget=4
)


@pytest.fixture
def replaying(processes: Any, online: Any, tmp_path: Path) -> Callable[..., Any]:
    """A device that plays 27 networks and the reference, under a given controller."""

    def join(served: Any, pause_s: float = 0.0) -> Any:
        rows = [f"{a}{b}{c}00000,{1 + a + b + c}" for a in range(3) for b in range(3) for c in range(3)]
        (tmp_path / "table.csv").write_text("\n".join(["arch,latency_ms", "22222222,9.0", *rows]) + "\n")
        token = served.client.create_join_token(device_id="a").secret
        agent = processes.agent(served.address, token, pause_s=pause_s)
        online(served.client)
        return agent

    return join


def test_trainer_proposes_tells_and_sees_its_trials(served: Any) -> None:
    client = served.client
    assert client.create_search(TOLD).state is SearchState.OPEN
    first, second = client.propose("told"), client.propose("told")
    latency = ToldLatency("phone", 1.5, 0.1)
    assert client.tell("told", first.number, 91.5, latencies=[latency]).accuracy == 91.5
    assert client.tell("told", second.number, None, fault="out of memory").state is TrialState.FAILED
    trials = client.list_trials("told")
    assert [one.state for one in trials] == [TrialState.FINISHED, TrialState.FAILED]
    assert trials[0].readings[0].latency_ms.value == 1.5
    assert trials[0].readings[0].source == "told"
    assert client.get_search("told").ended_count == 2
    assert [one.config for one in client.list_searches()] == [TOLD]


def test_remote_errors_are_the_local_ones(served: Any) -> None:
    client = served.client
    with pytest.raises(NotFoundError, match="no search 'none'"):
        client.propose("none")
    client.create_search(TOLD)
    with pytest.raises(AlreadyExistsError, match="another budget"):
        client.create_search(SearchConfig(**{**_fields(TOLD), "budget": 13}))
    with pytest.raises(NotFoundError, match="no trial 3"):
        client.tell("told", 3, 90.0)
    with pytest.raises(InvalidArgumentError, match="percentage"):
        client.tell("told", client.propose("told").number, 900.0)
    client.cancel_search("told")
    with pytest.raises(FailedPreconditionError, match="it has ended"):
        client.propose("told")
    with pytest.raises(NotFoundError, match="nothing was measured"):
        client.query_latency("22222222", space="nas-bench-macro")
    assert client.list_targets() == ()


def _fields(config: SearchConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def test_many_trainers_share_one_search(served: Any) -> None:
    served.client.create_search(TOLD)

    def train(worker: str) -> list[int]:
        numbers = []
        with FleetClient(served.address, operator_token(served.data_dir)) as client:
            while True:
                try:
                    trial = client.propose("told", worker)
                except (ResourceExhaustedError, FailedPreconditionError):
                    return numbers
                client.tell("told", trial.number, 90.0)
                numbers.append(trial.number)

    with ThreadPoolExecutor(4) as pool:
        told = [number for numbers in pool.map(train, "abcd") for number in numbers]
    assert sorted(told) == list(range(12))
    assert served.client.get_search("told").state is SearchState.FINISHED


def test_watch_shows_each_change_until_the_end(served: Any) -> None:
    client = served.client
    client.create_search(SearchConfig(**{**_fields(TOLD), "budget": 4}))
    client.propose("told", "w")
    seen = []
    for search, trials in client.watch_search("told", 20.0):
        seen += [(one.number, one.state) for one in trials]
        if not search.state.ended:
            client.tell("told", client.propose("told", "w").number, 90.0)
    assert search.state is SearchState.FINISHED
    assert seen[0] == (0, TrialState.PROPOSED)
    assert {number for number, state in seen if state is TrialState.FINISHED} == {0, 1, 2, 3}


def test_watch_is_bounded(served: Any) -> None:
    served.client.create_search(TOLD)
    with pytest.raises(DeadlineExceededError, match="has not ended within 0.3 s"):
        list(served.client.watch_search("told", 0.3))


@pytest.mark.slow
def test_controller_runs_a_search_and_its_table_answers(served: Any, replaying: Any) -> None:
    replaying(served)
    client = served.client
    assert client.create_search(RUN).config == RUN
    updates = list(client.watch_search("run", 150.0))
    search = updates[-1][0]
    assert search.state is SearchState.FINISHED, search.reason
    result = json.loads(search.result_json)
    assert result["run"] == "run"
    trials = client.list_trials("run")
    assert len(trials) == search.trial_count == search.ended_count
    assert trials[0].architecture == "22222222"
    assert trials[0].readings[0].source == "replayed"
    assert trials[0].macs > 1e6
    (target,) = [one for one in client.list_targets() if one.statistic == "wall_median"]
    answer = client.query_latency("22222222", space="nas-bench-macro", device="a")
    assert answer.target == target
    assert answer.mean_ms == pytest.approx(9.0, rel=0.05)
    predicted = client.predict_latencies(["22222222", "11111111"], space="nas-bench-macro", device="a")
    assert predicted.target == target
    assert [one.architecture for one in predicted.predictions] == ["22222222", "11111111"]
    assert predicted.predictions[0].mean_ms == pytest.approx(9.0, rel=0.1)
    with pytest.raises(NotFoundError, match="no target 'none'"):
        client.predict_latencies(["22222222"], space="nas-bench-macro", device="none")
    with pytest.raises(InvalidArgumentError, match="architectures"):
        client.predict_latencies([], space="nas-bench-macro", device="a")


def test_controller_runs_no_training_program_for_a_client(served: Any, tmp_path: Path) -> None:
    program = f"training:touch {tmp_path / 'ran'}"
    with pytest.raises(
        PermissionDeniedError, match=r"run 'fleetnas search --controller ADDR' where the program is"
    ):
        served.client.create_search(SearchConfig(**{**_fields(RUN), "accuracy": program}))
    assert served.client.list_searches() == ()
    assert not (tmp_path / "ran").exists()


def test_search_through_a_controller_runs_the_training_program_itself(
    served: Any, replaying: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replaying(served)
    program = tmp_path / "train.py"
    program.write_text(
        "import os, pathlib, sys\n"
        f"pathlib.Path({str(tmp_path / 'parents')!r}).open('a').write(f'{{os.getppid()}}\\n')\n"
        "print('epoch 1/1 accuracy', 60 + int(sys.argv[1][0]))\n"
    )
    words = _lent(served, tmp_path, f"training:{sys.executable} {program}")
    assert main([*words, "--max-latency-ms", "100", "--budget", "4"]) == 0
    assert json.loads(capsys.readouterr().out)["found"]["accuracy"] >= 60.0
    assert set((tmp_path / "parents").read_text().split()) == {str(os.getpid())}


def test_missing_training_program_is_refused_before_the_controller_is_asked(
    served: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_lent(served, tmp_path, "training:no-such-program x")) == 1
    assert "no program 'no-such-program'" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def _lent(served: Any, folder: Path, accuracy: str) -> list[str]:
    """A search here, on the controller's device."""
    fleet = ["--controller", served.address, "--data-dir", str(served.data_dir), "--device", "a"]
    own = ["--runs-dir", str(folder / "runs"), "--name", "lent", "--strategy", "random", "--json"]
    return ["search", *fleet, *own, "--accuracy", accuracy]


def test_search_that_cannot_go_on_says_why(served: Any, replaying: Any) -> None:
    served.client.create_search(RUN)
    *_, (search, _) = served.client.watch_search("run", 150.0)
    assert search.state is SearchState.FAILED
    assert "no device 'a' in the fleet" in search.reason


def test_cancelled_search_ends_its_worker(served: Any, replaying: Any, until: Any) -> None:
    replaying(served, pause_s=5.0)
    served.client.create_search(RUN)
    until(lambda: served.client.get_search("run").trial_count)
    assert workers(served.data_dir)
    assert served.client.cancel_search("run").state is SearchState.CANCELLED
    until(lambda: not workers(served.data_dir))


@pytest.mark.slow
def test_search_goes_on_when_the_controller_starts_again(
    serve: Callable[..., Any], replaying: Any, processes: Any, until: Any
) -> None:
    served = serve()
    agent = replaying(served, pause_s=0.3)
    served.client.create_search(RUN)
    until(lambda: served.client.get_search("run").ended_count)
    served = serve()
    agent.kill()
    agent.wait()
    processes.agent(served.address, "")
    *_, (search, _) = served.client.watch_search("run", 150.0)
    assert search.state is SearchState.FINISHED, search.reason


def workers(data_dir: Path) -> list[Path]:
    """Processes that hold the lock of this controller's one run."""
    lock = str(data_dir / "runs" / "run" / "lock")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            open_files = [str(one.readlink()) for one in (process / "fd").iterdir()]
        except OSError:
            continue
        if lock in open_files:
            found.append(process)
    return found

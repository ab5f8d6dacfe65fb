"""A controller that is killed while trainers propose and tell."""

import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleetnas_controller.client import FleetClient
from fleetnas_controller.operator import operator_token
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.trials import TrialState
from fleetnas_search_spaces.errors import FleetNASError, UnavailableError

CONFIG = SearchConfig("s", "nas-bench-macro", "random", "client", ("x",), budget=100_000)


def test_what_was_answered_is_stored_whenever_the_controller_is_killed(
    processes: Any, until: Callable[[Callable[[], Any]], Any], tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    data_dir = tmp_path / "fleet"
    command = ["fleetnas_controller.cli", "serve", "--listen", address, "--data-dir", str(data_dir)]
    command += ["--health-interval", "off", "--log-level", "error"]
    answered: dict[int, float] = {}
    for _ in range(3):
        controller = processes.start(command)
        until((data_dir / "operator.token").exists)
        begun = len(answered)
        trainers = [threading.Thread(target=_train, args=(address, data_dir, answered)) for _ in range(3)]
        with FleetClient(address, operator_token(data_dir)) as client:
            until(lambda: _answers(client))
            client.create_search(CONFIG)
            stored = client.list_trials("s")
            assert answered.items() <= {one.number: one.accuracy for one in stored}.items()
            assert [one.number for one in stored] == list(range(len(stored)))
            orders = sorted(one.order for one in stored if one.state is not TrialState.PROPOSED)
            assert orders == list(range(len(orders)))
            for one in trainers:
                one.start()
            until(lambda: len(answered) > begun + 20)  # noqa: B023 - as above
        controller.send_signal(signal.SIGKILL)
        controller.wait()
        for one in trainers:
            one.join()
    assert len(answered) > 60


def _train(address: str, data_dir: Path, answered: dict[int, float]) -> None:
    """Until the controller is gone."""
    with FleetClient(address, operator_token(data_dir)) as client:
        try:
            while True:
                number = client.propose("s").number
                accuracy = 50.0 + number % 40
                client.tell("s", number, accuracy)
                answered[number] = accuracy
        except FleetNASError:
            return


def _answers(client: FleetClient) -> bool:
    try:
        client.list_devices()
    except UnavailableError:
        return False
    return True

"""The process in which the controller runs one search; it ends with the controller, however that ends.

Reads one line of JSON from standard input (``WorkerOrder``), prints the search's document on standard output.
"""

__all__ = ["WorkerOrder", "main"]

import contextlib
import fcntl
import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from fleetnas_search_spaces.errors import FleetNASError

_PREDECESSOR_S = 10.0


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """What to run.

    Attributes:
        config: ``SearchConfig.to_json``.
        controller: ``HOST:PORT``.
        data_dir: The controller's, where its credentials are.
    """

    config: str
    runs_dir: str
    controller: str
    data_dir: str

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> int:
    """Returns 0 when the search came to its end, 1 with one line on standard error when it could not."""
    line = _read_line()
    threading.Thread(target=_end_with_controller, daemon=True).start()
    try:
        print(json.dumps(_run(WorkerOrder(**json.loads(line)))), flush=True)
    except FleetNASError as error:
        print(" ".join(str(error).split()), file=sys.stderr, flush=True)
        return 1
    return 0


def _run(order: WorkerOrder) -> dict[str, object]:
    from fleetnas_controller.run_folder import RunFolder
    from fleetnas_controller.search_config import SearchConfig
    from fleetnas_controller.search_session import SearchSession, SessionSettings

    config = SearchConfig.from_json(order.config)
    folder = RunFolder.of(Path(order.runs_dir), config.name)
    _wait_for_predecessor(folder.path / "lock")
    given = {**asdict(config), "strategy_options": dict(config.strategy_options)}
    settings = SessionSettings(
        runs_dir=Path(order.runs_dir),
        resume=_begun(folder.store, config.name),
        controller=order.controller,
        data_dir=Path(order.data_dir),
    )
    return SearchSession(given, settings).run(quiet=True)


def _wait_for_predecessor(lock: Path) -> None:
    """The worker of a controller that was killed ends at once, but not sooner than the next controller starts."""
    if not lock.exists():
        return
    deadline = time.monotonic() + _PREDECESSOR_S
    with lock.open("w") as file:
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                # Given back when the file closes; the search itself takes it again, and says so if it cannot.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.1)


def _begun(store: Path, name: str) -> bool:
    """Whether a search was stored there; a store that a kill left without one is put out of the way."""
    from fleetnas_controller.storage import open_database, storage_errors
    from fleetnas_controller.trial_store import SqliteTrials
    from fleetnas_search_spaces.errors import NotFoundError

    if not store.exists():
        return False
    with storage_errors(store):
        database = open_database(store)
        try:
            SqliteTrials(database).search(name)
        except NotFoundError:
            store.unlink()
            return False
        finally:
            database.close()
    return True


def _read_line() -> bytes:
    """Not through ``sys.stdin``, which would read ahead of the thread that waits for the end."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 1)
        if not part:
            break
        line += part
    return line


def _end_with_controller() -> None:
    while os.read(0, 4096):
        pass
    os._exit(2)


if __name__ == "__main__":
    sys.exit(main())

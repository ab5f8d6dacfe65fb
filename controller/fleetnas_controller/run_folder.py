"""The folder of one search: who may write in it, and what lies where."""

__all__ = ["NameTakenError", "RunFolder", "free_name"]

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fleetnas_controller.storage import storage_errors
from fleetnas_search_spaces.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    near_names,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_STEM_LENGTH = 56  # which leaves room for a number


class NameTakenError(AlreadyExistsError):
    """A search has the name; nothing was touched."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """``runs/NAME``.

    Attributes:
        path: The folder; its name is the search's.
    """

    path: Path

    @classmethod
    def of(cls, runs_dir: Path, name: str) -> "RunFolder":
        """Raises InvalidArgumentError for a name that is no plain folder name."""
        if not _NAME.fullmatch(name):
            raise InvalidArgumentError(
                f"'{name}' cannot name a search: use 1 to 64 letters, digits, '.', '_' or '-'."
            )
        return cls(runs_dir / name)

    @property
    def store(self) -> Path:
        return self.path / "store.db"

    @property
    def statistics(self) -> Path:
        """Which statistic each device's latencies are."""
        return self.path / "statistics.json"

    @property
    def report_html(self) -> Path:
        return self.path / "report.html"

    @property
    def pareto_png(self) -> Path:
        return self.path / "pareto.png"

    @property
    def found_onnx(self) -> Path:
        return self.path / "found.onnx"

    def require(self) -> None:
        """Raises NotFoundError when there is no such search, naming the near ones."""
        if not self.store.is_file():
            there = [one.parent.name for one in self.path.parent.glob("*/store.db")]
            raise NotFoundError(
                f"no search '{self.path.name}' in '{self.path.parent}'; {near_names(self.path.name, there)}"
            )

    @contextmanager
    def held(self, *, resume: bool) -> Iterator[None]:
        """Makes the folder and holds it: one process at a time works on a search.

        The lock goes with the process, however it ends.

        Raises:
            NameTakenError: There is a search of that name, or one is being begun, and ``resume`` is false.
            NotFoundError: There is none and ``resume`` is true.
            FailedPreconditionError: Another process is working on it now, and ``resume`` is true.
        """
        if resume:
            self.require()
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                kind = FailedPreconditionError if resume else NameTakenError
                raise kind(
                    f"another process is running the search '{self.path.name}'; wait for it or use another name."
                ) from error
            if not resume and self.store.exists():
                raise NameTakenError(
                    f"a search '{self.path.name}' exists; go on with --resume, or give another --name."
                )
            yield


def free_name(runs_dir: Path, stem: str) -> str:
    """The first of ``stem-1``, ``stem-2``, ... that no folder has; what cannot stand in a name is left out."""
    stem = re.sub(r"[^A-Za-z0-9.-]+", "-", stem).strip("-.")[:_STEM_LENGTH]
    number = 1
    while (runs_dir / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"

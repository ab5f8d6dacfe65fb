"""The self-tests of devices, kept where searches keep their runs."""

__all__ = ["SelfTestRecord", "SelfTests"]

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fleetnas_search_spaces.errors import DataLossError
from fleetnas_search_spaces.whole_files import write_whole

_VERSION = 1


@dataclass(frozen=True, slots=True)
class SelfTestRecord:
    """A self-test as it is kept.

    Attributes:
        device: Its id.
        target: Key of the target that was tested.
        time: Seconds since 1970.
        statistic: The chosen headline.
        resolution: Smallest difference of two latencies that may be claimed, relative.
        text, reason: What was found and why the statistic was chosen, one sentence each.
    """

    device: str
    target: str
    time: float
    statistic: str
    resolution: float
    text: str
    reason: str


class SelfTests:
    """The latest self-test of each device, as JSON in ``RUNS_DIR/devices/DEVICE.json``."""

    def __init__(self, runs_dir: Path) -> None:
        self._folder = runs_dir / "devices"

    def put(self, record: SelfTestRecord) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(record.device)
        write_whole(path, json.dumps({"version": _VERSION, **asdict(record)}, indent=2).encode())
        return path

    def find(self, device: str) -> SelfTestRecord | None:
        """The device's latest self-test.

        Raises:
            DataLossError: The file is broken or of a newer version.
        """
        path = self._path(device)
        if not path.is_file():
            return None
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("version") != _VERSION:
                raise ValueError("another version wrote it")
            return SelfTestRecord(**values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataLossError(
                f"the self-test in '{path}' cannot be read ({error}): delete it and run 'fleetnas device selftest'."
            ) from error

    def _path(self, device: str) -> Path:
        return (
            self._folder / f"{''.join(one if one.isalnum() or one in '._-' else '-' for one in device)}.json"
        )

"""Which statistic a run's latencies are: chosen at its start, the same however often it is resumed."""

__all__ = ["ChosenStatistic", "choose_statistics", "read_statistics", "statistic_of"]

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from fleetnas_controller.asking import default_statistic
from fleetnas_controller.jobs import Device
from fleetnas_controller.run_folder import RunFolder
from fleetnas_controller.self_tests import SelfTests
from fleetnas_controller.storage import storage_errors
from fleetnas_latency.statistics import Series, Statistic
from fleetnas_search_spaces.errors import DataLossError
from fleetnas_search_spaces.whole_files import write_whole


@dataclass(frozen=True, slots=True)
class ChosenStatistic:
    """A device's headline.

    Attributes:
        reason: What chose it: the device's self-test, or what suits its kind.
    """

    statistic: Statistic
    reason: str


def statistic_of(device: Device, tests: SelfTests, thread_count: int = 1) -> ChosenStatistic:
    """What the device's self-test chose; without one, or where the device does not give it, what suits its kind.

    Raises:
        DataLossError: The self-test's file is broken.
    """
    tested = tests.find(device.device_id)
    if tested is not None:
        chosen = Statistic(tested.statistic)
        fits = thread_count == 1 or chosen.series is Series.WALL
        if fits and any(one.statistic == chosen for one in device.targets):
            return ChosenStatistic(chosen, f"the device's self-test: {tested.reason}")
    return _usual(device, thread_count)


def choose_statistics(
    folder: RunFolder, devices: Mapping[str, Device], tests: SelfTests, *, resumed: bool
) -> dict[str, ChosenStatistic]:
    """By what the run calls the device; kept in its folder before anything is measured.

    A resumed run takes what was kept, since a self-test made meanwhile must not mix two statistics in it. One that
    was begun before this was kept has the usual ones.

    Args:
        devices: Those that are named; a device found by a selector gets the usual statistic later on.

    Raises:
        DataLossError: The file, or a self-test's, is broken.
        ResourceExhaustedError: It cannot be written.
    """
    if resumed and folder.statistics.is_file():
        return read_statistics(folder)
    chosen = {
        name: _usual(device) if resumed else statistic_of(device, tests) for name, device in devices.items()
    }
    with storage_errors(folder.statistics):
        values = {name: asdict(one) for name, one in chosen.items()}
        write_whole(folder.statistics, json.dumps({"version": 1, "statistics": values}).encode())
    return chosen


def read_statistics(folder: RunFolder) -> dict[str, ChosenStatistic]:
    """What was kept; empty for a run of before.

    Raises:
        DataLossError: The file is broken or of a newer version.
    """
    if not folder.statistics.is_file():
        return {}
    try:
        content = json.loads(folder.statistics.read_text(encoding="utf-8"))
        if content["version"] != 1:
            raise ValueError("another version wrote it")
        return {
            name: ChosenStatistic(Statistic(one["statistic"]), str(one["reason"]))
            for name, one in content["statistics"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataLossError(
            f"'{folder.statistics}' cannot be read ({error}): restore it, or start again under another name."
        ) from error


def _usual(device: Device, thread_count: int = 1) -> ChosenStatistic:
    return ChosenStatistic(default_statistic(device, thread_count), f"usual for kind '{device.kind}'")

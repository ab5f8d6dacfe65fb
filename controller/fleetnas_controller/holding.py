"""Which files a device may read."""

__all__ = ["check_holder"]

from fleetnas_controller.fleet import Fleet
from fleetnas_controller.jobs import MeasurementRequest
from fleetnas_search_spaces.errors import PermissionDeniedError


def check_holder(fleet: Fleet, device: str, sha256: str) -> MeasurementRequest:
    """The request that ``device`` works on, which has a file of that digest.

    Raises:
        PermissionDeniedError: It has not, or the device holds none.
    """
    record = fleet.find(fleet.devices.get(device).holder)
    if record is None or sha256 not in {file.sha256 for file in record.request.files}:
        raise PermissionDeniedError(
            f"{device} holds no measurement with file {sha256[:12]}. Agents read the files of their own job."
        )
    return record.request

"""Every error FleetNAS raises on purpose.

FleetNASError
 |- InvalidArgumentError      a value the caller gave cannot be used
 |- NotFoundError             a name that nothing here bears
 |- AlreadyExistsError        a name that is taken
 |- FailedPreconditionError   right request, wrong state
 |- InfeasibleError           no architecture satisfies the constraints
 |- UnavailableError          a device, an agent or the controller is not there; trying again may help
 |- DeadlineExceededError     a bounded wait ended
 |- ResourceExhaustedError    disk, memory or a size limit
 |- PermissionDeniedError     a token or a certificate does not allow it
 |- CancelledError            somebody cancelled it
 `- DataLossError             a stored file is corrupt, truncated or from a newer version

A message says what is wrong, with the value, and what to do.
"""

__all__ = [
    "AlreadyExistsError",
    "CancelledError",
    "DataLossError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "FleetNASError",
    "InfeasibleError",
    "InvalidArgumentError",
    "NotFoundError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnavailableError",
    "near_names",
]

from collections.abc import Iterable
from difflib import get_close_matches


class FleetNASError(Exception):
    """Base of all errors of FleetNAS; the command line prints it as one line and exits with 1."""


class InvalidArgumentError(FleetNASError, ValueError):
    """A value the caller gave cannot be used."""


class NotFoundError(FleetNASError, LookupError):
    """Nothing here bears that name."""


class AlreadyExistsError(FleetNASError):
    """The name is taken."""


class FailedPreconditionError(FleetNASError):
    """The request is right, the state is wrong."""


class InfeasibleError(FleetNASError):
    """No architecture satisfies the constraints; the message names the nearest miss."""


class UnavailableError(FleetNASError):
    """A device, an agent or the controller is not there; trying again may help."""


class DeadlineExceededError(FleetNASError, TimeoutError):
    """A bounded wait ended."""


class ResourceExhaustedError(FleetNASError):
    """Disk, memory or a size limit is used up."""


class PermissionDeniedError(FleetNASError):
    """A token or a certificate does not allow it."""


class CancelledError(FleetNASError):
    """Somebody cancelled it."""


class DataLossError(FleetNASError):
    """A stored file is corrupt, truncated, or written by a newer version."""


def near_names(wanted: str, known: Iterable[str]) -> str:
    """The end of a not-found message: the nearest known names, or all of them.

    Returns:
        ``"did you mean 'rk3288'?"`` or ``"known: 'a', 'b'"``; ``"none is known yet"`` without any.
    """
    names = sorted(known)
    if not names:
        return "none is known yet"
    near = get_close_matches(wanted, names, n=3, cutoff=0.5)
    listed = ", ".join(f"'{name}'" for name in near or names[:20])
    return f"did you mean {listed}?" if near else f"known: {listed}"

"""Finding a target in the latency table by what people call it."""

__all__ = ["known_devices", "unknown_device_warning", "wanted_target"]

from collections.abc import Sequence
from difflib import get_close_matches

from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError, near_names

_SHOWN = 10


def known_devices(table: LatencyTable) -> tuple[str, ...]:
    """What people may call the devices that the table has latencies of: models and agents' ids, sorted."""
    targets = table.targets()
    agents = {seen.agent for one in targets for seen in table.observations(one) if seen.agent}
    return tuple(sorted(agents | {one.device_model for one in targets}))


def unknown_device_warning(device: str, known: Sequence[str], published: Sequence[str]) -> str:
    """One line for a prediction of a device that the table does not know, which may be a slip of the hand.

    Args:
        known: From ``known_devices``.
        published: Devices whose published latencies the guess rests on.
    """
    named = f"no device '{device}' in the latency table" if device else "no device was named"
    listed = ", ".join(f"'{one}'" for one in known[:_SHOWN]) + (" .." if len(known) > _SHOWN else "")
    knows = f"it knows {listed}" if known else "it knows none yet"
    # Some published names differ in capitals only.
    spelt = {one.lower(): one for one in (*published, *known)}
    near = [spelt[one] for one in get_close_matches(device.lower(), spelt, n=3, cutoff=0.6)]
    meant = f" Did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
    return f"{named} ({knows}): what follows is a guess.{meant}"


def wanted_target(table: LatencyTable, wanted: str) -> Target:
    """The one target that ``wanted`` names: an agent's id, a device model, or a part of the key.

    Raises:
        NotFoundError: None has it; near ones are named.
        InvalidArgumentError: Several have it.
    """
    targets = table.targets()
    agents = {one.key: {seen.agent for seen in table.observations(one) if seen.agent} for one in targets}
    found = [one for one in targets if wanted in (one.key, one.device_model, *agents[one.key])]
    found = found or [one for one in targets if wanted.lower() in one.key.lower()]
    if not found:
        known = {name for one in targets for name in (one.key, *agents[one.key])}
        raise NotFoundError(f"no target '{wanted}' in the table; {near_names(wanted, known)}")
    if len(found) > 1:
        keys = ", ".join(one.key for one in found[:6])
        raise InvalidArgumentError(
            f"'{wanted}' names {len(found)} targets; give a longer part of one as the device: {keys}"
        )
    return found[0]

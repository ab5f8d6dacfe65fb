"""Finding a target in the latency table by what people call it."""

__all__ = ["wanted_target"]

from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError, near_names


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

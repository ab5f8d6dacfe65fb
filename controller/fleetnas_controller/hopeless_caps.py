"""Caps that no network of a space can keep, found before the budget is spent on them."""

__all__ = ["HopelessLatency", "check_exact_caps"]

from collections.abc import Mapping, Sequence
from random import Random

from scipy.special import ndtr, stdtrit

from fleetnas_controller.caps import exact_limits
from fleetnas_controller.search_config import SearchConfig
from fleetnas_controller.strategies.draws import Draws
from fleetnas_controller.strategies.exact_caps import exact_count
from fleetnas_controller.strategies.strategy import Cap, CapKind, Problem
from fleetnas_latency.model import LatencyModel
from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.errors import InfeasibleError

_LISTABLE = 20_000
_MEASURED = (12, 24, 48)
"""After so many measured networks of a device it is asked whether any can keep its cap."""

_SIGMAS = 4.0
"""Of a normal distribution; with few networks the model's own deviation is uncertain, so more are asked for."""


def check_exact_caps(config: SearchConfig, space: SearchSpace) -> None:
    """Whether any network keeps the caps that need no measurement, as far as a search would find one.

    Raises:
        InfeasibleError: None was found; names the one that breaks them least.
    """
    caps = exact_limits(config)
    draws = Draws(Problem(space, caps))
    if not caps or draws.keeps(space.canonical(space.reference)):
        return
    nearest = draws.fresh(set(), Random(0))
    if draws.keeps(nearest):
        return
    graph = space.graph(nearest)
    broken = [(one, exact_count(one.kind, graph)) for one in caps]
    missed = "; ".join(
        f"{one.name} is {count}, cap {one.limit:g}" for one, count in broken if count > one.limit
    )
    raise InfeasibleError(
        f"no architecture of '{space.name}' keeps every cap that needs no measurement. Nearest miss: "
        f"{space.format(nearest)} ({missed}). Loosen the cap; nothing was measured."
    )


class HopelessLatency:
    """Whether a latency cap lies beyond every network of a space that can be listed.

    A cap is hopeless when, after 12, 24 or 48 measured networks, none of which kept it, the mean that the latency
    model predicts lies over it by 6.2, 4.9 or 4.4 standard deviations for each member: as unlikely by Student's
    distribution as four are by the normal one, for the deviation was learned from no more networks than these. With
    four at all three times, searches gave up caps that one or two networks kept (benchmarks/hopeless_caps.py). What
    was found once stays.
    """

    def __init__(self, space: SearchSpace, caps: Sequence[Cap]) -> None:
        self._space = space
        self._caps = {one.device: one for one in caps if one.kind is CapKind.LATENCY_MS}
        self._kept: set[str] = set()
        self._members: Sequence[Architecture] | None = None
        self.device = ""
        """Whose cap is hopeless; empty: none."""

    def learned(self, models: Mapping[str, LatencyModel], readings_ms: Mapping[str, float]) -> None:
        """Takes note of one more measured network, in the order they ended, with the models that know it."""
        for device, cap in self._caps.items():
            if readings_ms.get(device, cap.limit) < cap.limit:
                self._kept.add(device)
            if device not in readings_ms or device in self._kept or self.device:
                continue
            if models[device].network_count in _MEASURED and self._out_of_reach(models[device], cap):
                self.device = device

    def _out_of_reach(self, model: LatencyModel, cap: Cap) -> bool:
        if self._members is None:
            self._members = canonical_members(self._space, _LISTABLE) or ()
        if not self._members:
            return False
        predicted = model.predict(self._members)
        sigmas = stdtrit(model.network_count - 1, ndtr(_SIGMAS))
        return bool((predicted.mean_ms - sigmas * predicted.std_ms).min() > cap.limit)

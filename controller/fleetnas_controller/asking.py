"""What is asked of devices: of which ones, and how they are to measure."""

__all__ = ["default_statistic", "device_selector", "measurement_plan", "named_devices"]

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fleetnas_controller.jobs import Device, Selector
from fleetnas_controller.trials import TrialPhase
from fleetnas_latency.plan import QUOTED_MIN_S, Plan
from fleetnas_latency.statistics import Statistic
from fleetnas_search_spaces.errors import InvalidArgumentError

if TYPE_CHECKING:
    from fleetnas_controller.client import FleetClient


def device_selector(device: str) -> Selector:
    """``pixel3``, or ``model=pixel3``, ``kind=host``, ``runtime=ncnn``, or a label."""
    key, sign, value = device.partition("=")
    if not sign:
        return Selector(device=device)
    if not key or not value:
        raise InvalidArgumentError(f"'{device}' selects no device: write a name, or KEY=VALUE.")
    match key:
        case "model":
            return Selector(model=value)
        case "kind":
            return Selector(kind=value)
        case "runtime":
            return Selector(runtime=value)
    return Selector(labels=((key, value),))


def named_devices(wanted: Iterable[str], client: "FleetClient") -> dict[str, Device]:
    """Those of ``wanted`` that are names; the devices that a ``KEY=VALUE`` finds may still join.

    Raises:
        NotFoundError: The fleet has no such device.
    """
    return {one: client.get_device(one) for one in wanted if "=" not in one}


def default_statistic(device: Device | None, thread_count: int = 1) -> Statistic:
    """A host shares its core with other work, so CPU time counts there; a device of one's own shows wall time."""
    shared = device is not None and device.kind == "host" and thread_count == 1
    return Statistic.CPU_P10 if shared else Statistic.WALL_MEDIAN


def measurement_plan(statistic: Statistic, phase: TrialPhase) -> Plan:
    """Confirmations are longer and narrower: what is reported rests on them.

    They may take 20 s: in 8 s a network of 59 ms with 2 % noise was not narrowed down to 0.5 %, and a search whose
    best network was that slow ended without an answer.
    """
    if phase is TrialPhase.SEARCH:
        return Plan(statistic=statistic, max_duration_s=4.0)
    return Plan(
        statistic=statistic,
        relative_half_width=0.005,
        min_duration_s=QUOTED_MIN_S,
        max_duration_s=20.0,
        anchor_share=0.5,
    )

"""What a user asks of a search: everything that decides its result, and nothing else."""

__all__ = ["SearchConfig"]

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from fleetnas_search_spaces.errors import DataLossError, InvalidArgumentError

_CONFIRMING_SHARE = 0.1
_LIMITS = (
    "max_latency_ms",
    "max_macs",
    "max_params",
    "max_model_bytes",
    "max_memory_bytes",
    "soft_latency_ms",
    "soft_price",
)


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """A search, before anything ran.

    Attributes:
        accuracy: An accuracy source, e.g. ``"table:nas-bench-macro"``.
        devices: Names of the devices every candidate is measured on.
        max_latency_ms: Cap on each device's latency; None: no absolute cap.
        device_max_latency_ms: Caps of single devices, by name, instead of that one.
        latency_drop: Cap relative to the reference network measured beside it: 0.2 means 20 % faster.
        max_macs, max_params: Counts; None: no cap.
        max_model_bytes: Of the weights (``memory.model_bytes``); None: no cap.
        max_memory_bytes: Of the feature maps at one time (``memory.peak_memory_bytes``); None: no cap.
        soft_latency_ms, soft_price: Each millisecond over the first, on each device, costs the second in points of
            accuracy; None: it costs nothing.
        objectives: Empty: the most accurate network is searched. Else the axes of a front, each a name out of
            ``accuracy``, ``latency`` (of every device), ``macs``, ``params``, optionally with the worst value that
            is of any use: ``("accuracy:85", "latency:30")``.
        start_from: Architectures to propose first, in the space's text form.
        warm_start: An earlier search whose trials are taken over: its name in the folder of the runs, or the path of
            its folder or store; empty: none.
        early_stop: A rule of ``staged_training.RULES`` that ends trainings which promise too little; empty: all are
            trained to the end.
        budget: Evaluations in all: the reference, the search, and the confirmations at the end.
        strategy_options: The strategy's own parameters.
    """

    name: str
    space: str
    strategy: str
    accuracy: str
    devices: tuple[str, ...]
    max_latency_ms: float | None = None
    device_max_latency_ms: Mapping[str, float] = field(default_factory=dict)
    latency_drop: float | None = None
    max_macs: float | None = None
    max_params: float | None = None
    max_model_bytes: float | None = None
    max_memory_bytes: float | None = None
    soft_latency_ms: float | None = None
    soft_price: float | None = None
    objectives: tuple[str, ...] = ()
    start_from: tuple[str, ...] = ()
    warm_start: str = ""
    early_stop: str = ""
    budget: int = 100
    seed: int = 0
    strategy_options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.budget < 4:
            raise InvalidArgumentError(
                f"the budget is {self.budget}; give 4 or more: the reference, two candidates, a confirmation."
            )
        if self.latency_drop is not None and not 0.0 < self.latency_drop < 1.0:
            raise InvalidArgumentError(
                f"the latency drop is {100 * self.latency_drop:g} %; give a share between 0 and 100 %, e.g. 20%."
            )
        for name in _LIMITS:
            limit = getattr(self, name)
            if limit is not None and not 0.0 < limit < math.inf:
                raise InvalidArgumentError(f"the cap {name} is {limit:g}; give a finite number above zero.")
        if (self.soft_latency_ms is None) != (self.soft_price is None):
            raise InvalidArgumentError(
                f"the soft latency is {self.soft_latency_ms} ms at a price of {self.soft_price}; give both, or none."
            )
        for device, limit_ms in self.device_max_latency_ms.items():
            if device not in self.devices or not 0.0 < limit_ms < math.inf:
                raise InvalidArgumentError(
                    f"the latency cap of device '{device}' is {limit_ms:g} ms; cap a device of the search "
                    f"({','.join(self.devices)}), with a finite number above zero."
                )
        if not self.devices or len(set(self.devices)) != len(self.devices):
            raise InvalidArgumentError(
                f"the devices are '{','.join(self.devices)}'; name at least one, and each only once."
            )

    def latency_cap_ms(self, device: str) -> float | None:
        """The absolute cap on a device's latency; None where there is none."""
        return self.device_max_latency_ms.get(device, self.max_latency_ms)

    @property
    def seeks_front(self) -> bool:
        return bool(self.objectives)

    @property
    def confirming_count(self) -> int:
        """Evaluations kept for measuring the best again: the last tenth of the budget."""
        return max(1, round(self.budget * _CONFIRMING_SHARE))

    @property
    def searching_count(self) -> int:
        """Evaluations of the search proper, the reference included."""
        return self.budget - self.confirming_count

    def to_json(self) -> str:
        values = asdict(self)
        values["strategy_options"] = dict(self.strategy_options)
        values["device_max_latency_ms"] = dict(self.device_max_latency_ms)
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "SearchConfig":
        """Inverse of ``to_json``; DataLossError when the text is none of its making."""
        try:
            values = json.loads(text)
            if not isinstance(values, dict):
                raise TypeError(f"{type(values).__name__} instead of an object")
            known = {one.name for one in fields(cls)}
            unknown = sorted(set(values) - known)
            if unknown:
                raise DataLossError(
                    f"the stored search has settings this version does not know ({', '.join(unknown)}): "
                    "it was written by a newer FleetNAS; upgrade."
                )
            lists = {name: tuple(values.get(name, ())) for name in ("devices", "objectives", "start_from")}
            return cls(**{**values, **lists})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataLossError(f"the stored search is unreadable ({error}).") from error

    def differences(self, other: "SearchConfig") -> tuple[str, ...]:
        """Names of the settings in which two searches differ, the name apart."""
        return tuple(
            one.name
            for one in fields(self)
            if one.name != "name" and getattr(self, one.name) != getattr(other, one.name)
        )

"""What can go wrong with a played device: every fault by name, how often, how much, and from a seed."""

__all__ = ["DeviceFaults", "FaultName", "FaultRate", "parse_fault"]

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from fleetnas_search_spaces.errors import InvalidArgumentError


class FaultName(StrEnum):
    """What may befall a job. In brackets what the size of a fault means, and its default."""

    DRIFT = "drift"
    """The device becomes slower or faster for good [by this part, 0.05]. Drawn again within each try of a batch."""
    THROTTLE = "throttle"
    """It slows down in the middle of a measurement [by this part, 0.3], of a batch in every try: verdict
    ``throttled``."""
    WRONG_RESULT = "wrong-result"
    """The output is that of another network: verdict ``wrong_output``."""
    CRASH = "crash"
    """The runtime dies: a fault ``crash``."""
    HANG = "hang"
    """The runtime gives no sign of life [for so many seconds, for ever]: a fault ``crash`` at the job's limit."""
    TRUNCATE = "truncate"
    """A file arrives cut short: a fault ``infrastructure``. Files that the agent has already are not fetched."""
    DISCONNECT = "disconnect"
    """The connection breaks, at a moment drawn from the seed."""
    SILENCE = "silence"
    """What the agent says is held up [for so many seconds, 15]; its lease runs out."""
    SLOW_LINK = "slow-link"
    """Each message and each part of a file takes longer [by so many seconds, 0.2]."""
    DUPLICATE = "duplicate"
    """A report is sent again [so many times, 2]: refused."""
    STALE = "stale"
    """With its report the agent sends the result under an older token, and its report before that: refused."""


_SIZES = {
    FaultName.DRIFT: 0.05,
    FaultName.THROTTLE: 0.3,
    FaultName.HANG: 1e9,
    FaultName.SILENCE: 15.0,
    FaultName.SLOW_LINK: 0.2,
    FaultName.DUPLICATE: 2.0,
}


@dataclass(frozen=True, slots=True)
class FaultRate:
    """How often a fault happens and how strong it is.

    Attributes:
        chance: Of one job, 0 to 1.
        size: See ``FaultName``; 0 where a fault has none.
    """

    chance: float
    size: float = 0.0


def parse_fault(text: str) -> tuple[FaultName, FaultRate]:
    """Reads ``NAME=CHANCE`` or ``NAME=CHANCE:SIZE``, e.g. ``"disconnect=0.05"``, ``"drift=0.1:0.2"``.

    Raises:
        InvalidArgumentError: No such fault, or a number out of range.
    """
    name, _, numbers = text.partition("=")
    chance, _, size = numbers.partition(":")
    try:
        fault = FaultName(name)
        rate = FaultRate(float(chance), float(size) if size else _SIZES.get(fault, 0.0))
    except ValueError:
        raise InvalidArgumentError(
            f"--fault '{text}' is no NAME=CHANCE[:SIZE], e.g. drift=0.1:0.2. Names: {', '.join(FaultName)}."
        ) from None
    if not 0.0 <= rate.chance <= 1.0 or not 0.0 <= rate.size <= 1e9:
        raise InvalidArgumentError(
            f"--fault '{text}': the chance must lie between 0 and 1, the size between 0 and 1e9."
        )
    return fault, rate


class DeviceFaults:
    """The faults of one device. Which job meets which depends on the seed, the device and the job's number on it.

    Args:
        rates: Faults that may happen; the others never do.
        device: Its index; devices of one seed meet different faults.
    """

    def __init__(self, rates: Mapping[FaultName, FaultRate], seed: int = 0, device: int = 0) -> None:
        self._rates = dict(rates)
        self._origin = f"{seed}/{device}"
        self._job_count = 0
        self._active: dict[FaultName, float] = {}
        self.speed = 1.0
        self.rng = Random(self._origin)

    def next_job(self) -> None:
        """Draws what befalls the job that begins now."""
        self._job_count += 1
        self.rng = Random(f"{self._origin}/{self._job_count}")
        # One draw for each fault there is, asked for or not: switching one on leaves the others where they were.
        draws = {name: self.rng.random() for name in FaultName}
        self._active = {name: one.size for name, one in self._rates.items() if draws[name] < one.chance}
        step = self._active.pop(FaultName.DRIFT, 0.0)
        self.speed *= (1.0 + step) ** self.rng.choice((-1, 1))

    def batch_drifts(self, try_count: int) -> tuple[float, ...]:
        """By how much the device becomes slower within each try of the current job's batch, relative."""
        rng = Random(f"{self._origin}/{self._job_count}/batch")
        rate = self._rates.get(FaultName.DRIFT, FaultRate(0.0))
        throttled = 1.0 + (self._active.get(FaultName.THROTTLE) or 0.0)
        drifts = []
        for _ in range(try_count):
            drifted = (1.0 + rate.size) ** rng.choice((-1, 1)) if rng.random() < rate.chance else 1.0
            drifts.append(drifted * throttled - 1.0)
        return tuple(drifts)

    def size(self, name: FaultName) -> float | None:
        """Of a fault that befalls the current job; None when it does not."""
        return self._active.get(name)

    def take(self, name: FaultName) -> float | None:
        """As ``size``, once: a connection breaks once in a job."""
        return self._active.pop(name, None)

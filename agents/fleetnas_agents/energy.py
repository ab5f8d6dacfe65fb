"""Energy of one inference, where the processor counts it."""

__all__ = ["RaplCounter", "energy_facts"]

import time
from collections.abc import Callable
from pathlib import Path

from fleetnas_agents.evidence import NOT_AVAILABLE

_ROOT = Path("/")
_RUN_S = 1.0
_STEP_S = 0.1
_STEPS = 4


class RaplCounter:
    """The running total of the processor's packages (Linux powercap); many systems show it to root only.

    Args:
        root: Where ``sys`` is.
    """

    def __init__(self, root: Path = _ROOT) -> None:
        folders = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
        # Packages only: `intel-rapl:0:0` is a part of `intel-rapl:0`.
        self._zones = [one for one in folders if one.name.count(":") == 1 and _number(one / "energy_uj") >= 0]
        self._ranges_uj = [_number(one / "max_energy_range_uj") for one in self._zones]

    @property
    def available(self) -> bool:
        return bool(self._zones)

    @property
    def source(self) -> str:
        return ", ".join(one.name for one in self._zones)

    def read_uj(self) -> tuple[int, ...]:
        """Of each package; starts again at 0 beyond its range."""
        return tuple(_number(one / "energy_uj") for one in self._zones)

    def spent_uj(self, before: tuple[int, ...], after: tuple[int, ...]) -> int:
        """Between two readings, all packages together."""
        total = 0
        for first, last, range_uj in zip(before, after, self._ranges_uj, strict=True):
            total += last - first if last >= first else last - first + range_uj + 1
        return total

    def step_uj(self, clock: Callable[[], float]) -> int:
        """The smallest change of the total in a tenth of a second; 0 when it did not change."""
        steps: list[int] = []
        end_s = clock() + _STEP_S
        before = self.read_uj()
        while len(steps) < _STEPS and clock() < end_s:
            after = self.read_uj()
            if after != before:
                steps.append(self.spent_uj(before, after))
                before = after
        return min(steps, default=0)


def energy_facts(
    infer: Callable[[], object],
    alive: Callable[[], None],
    counter: RaplCounter,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, str]:
    """Runs one network alone for a second and divides what the packages took.

    It is all that they took: the idle power and other work on them are in it, memory and the rest of the machine are
    not. The resolution is the counter's step as energy of one run.

    Args:
        clock: Monotonic seconds.
    """
    if not counter.available:
        return {"energy_j_per_run": f"{NOT_AVAILABLE}: no energy counter that can be read"}
    step_uj = counter.step_uj(clock)
    before, end_s, run_count = counter.read_uj(), clock() + _RUN_S, 0
    while clock() < end_s or run_count == 0:
        infer()
        run_count += 1
    spent_uj = counter.spent_uj(before, counter.read_uj())
    alive()
    if step_uj == 0 or spent_uj == 0:
        return {"energy_j_per_run": f"{NOT_AVAILABLE}: the energy counter does not move"}
    return {
        "energy_j_per_run": f"{spent_uj / 1e6 / run_count:.6g}",
        "energy_resolution_j": f"{step_uj / 1e6 / run_count:.6g}",
        "energy_run_count": str(run_count),
        "energy_source": counter.source,
    }


def _number(path: Path) -> int:
    """-1 where there is none that can be read."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return -1

"""What a latency belongs to: latencies of different targets never mix."""

__all__ = ["PUBLISHED", "Target"]

from dataclasses import dataclass

from fleetnas_search_spaces.operators import Precision

PUBLISHED = "published"
"""``Target.stand_in`` of latencies that others published."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A device model together with everything that decides how fast it runs a network.

    Attributes:
        device_model: E.g. ``"rk3288"``; for the host the CPU's own model name.
        runtime, runtime_version: E.g. ``"onnxruntime"``, ``"1.32.0"``.
        thread_count: Threads the runtime may use.
        core_set: The cores it is pinned to, e.g. ``"4-7"``; empty when not pinned.
        statistic: Name of the statistic the milliseconds are, e.g. ``"cpu_p10"`` (``statistics.Statistic``).
        stand_in: Empty for a real device; else what replaced it (``"replay"``, ``"qemu"``, ``PUBLISHED``), shown
            wherever the number is.
    """

    device_model: str
    runtime: str
    runtime_version: str
    thread_count: int = 1
    core_set: str = ""
    precision: Precision = Precision.FP32
    statistic: str = "wall_median"
    stand_in: str = ""

    @property
    def key(self) -> str:
        """Text that names the target in the table, the same on every machine."""
        parts = (
            self.device_model,
            self.runtime,
            self.runtime_version,
            f"{self.thread_count}t",
            self.core_set or "any",
            self.precision,
            self.statistic,
            self.stand_in or "real",
        )
        return "/".join(str(part).replace("/", "_") for part in parts)

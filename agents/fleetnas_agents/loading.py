"""What it costs to load a network: time, memory, bytes."""

__all__ = ["loaded_twice"]

import time
from collections.abc import Callable
from pathlib import Path

from fleetnas_agents.evidence import NOT_AVAILABLE, process_memory_kib, reset_peak_memory
from fleetnas_agents.runtimes.runtime import LoadedNetwork, Runtime


def loaded_twice(
    runtime: Runtime, path: Path, thread_count: int, alive: Callable[[], None]
) -> tuple[LoadedNetwork, dict[str, str]]:
    """Loads a network, throws it away and loads it again.

    Returns:
        The network, and by name: ``convert_ms`` where the runtime reads another format; ``first_load_ms`` and
        ``load_ms``, each up to the end of the first inference, the first with what the runtime sets up once in
        a process; ``peak_memory_kib`` of the process until the first inference is done, and
        ``memory_kib_before_load``. In a worker that has measured before, memory that it kept hides part of it.

    Raises:
        MeasureError: The runtime cannot convert, load or run it.
    """
    begin_s = time.perf_counter()
    converted = runtime.convert(path)
    costs = {} if converted == path else {"convert_ms": f"{(time.perf_counter() - begin_s) * 1e3:.1f}"}
    alive()
    fresh = reset_peak_memory()
    costs["memory_kib_before_load"] = process_memory_kib("VmRSS")
    costs["first_load_ms"] = f"{_load_ms(runtime, converted, thread_count)[1]:.1f}"
    costs["peak_memory_kib"] = process_memory_kib("VmHWM") if fresh else NOT_AVAILABLE
    alive()
    network, load_ms = _load_ms(runtime, converted, thread_count)
    costs["load_ms"] = f"{load_ms:.1f}"
    alive()
    return network, costs


def _load_ms(runtime: Runtime, path: Path, thread_count: int) -> tuple[LoadedNetwork, float]:
    begin_s = time.perf_counter()
    network = runtime.load(path, thread_count)
    return network, (time.perf_counter() - begin_s) * 1e3

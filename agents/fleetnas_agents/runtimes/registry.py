"""The runtimes by name."""

__all__ = ["RUNTIME_NAMES", "installed_runtimes", "runtime_of"]

from collections.abc import Callable, Mapping
from types import MappingProxyType

from fleetnas_agents.runtimes.litert_runtime import LiteRtRuntime
from fleetnas_agents.runtimes.ncnn_runtime import NcnnRuntime
from fleetnas_agents.runtimes.onnx_runtime import OnnxRuntime
from fleetnas_agents.runtimes.openvino_runtime import OpenVinoRuntime
from fleetnas_agents.runtimes.runtime import Runtime
from fleetnas_search_spaces.errors import FailedPreconditionError, NotFoundError, near_names

# The first that is installed is the default.
_RUNTIMES: Mapping[str, Callable[[], Runtime]] = MappingProxyType(
    {one.name: one for one in (OnnxRuntime, NcnnRuntime, LiteRtRuntime, OpenVinoRuntime)}
)
RUNTIME_NAMES = tuple(_RUNTIMES)


def runtime_of(name: str) -> Runtime:
    """The runtime of that name, installed or not; nothing of it is imported yet.

    Raises:
        NotFoundError: There is none.
    """
    if name not in _RUNTIMES:
        raise NotFoundError(f"no runtime '{name}'; {near_names(name, _RUNTIMES)}")
    return _RUNTIMES[name]()


def installed_runtimes() -> dict[str, str]:
    """Version by name, the default first.

    Raises:
        FailedPreconditionError: None is installed.
    """
    found = {}
    for name in _RUNTIMES:
        try:
            found[name] = runtime_of(name).version()
        except FailedPreconditionError:
            continue
    if not found:
        raise FailedPreconditionError(
            "the host driver runs networks in ONNX Runtime or another of its runtimes, and none is installed: "
            "pip install 'fleetnas[host]'."
        )
    return found

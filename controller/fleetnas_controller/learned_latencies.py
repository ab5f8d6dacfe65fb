"""What a search has learned of its devices' latencies."""

__all__ = ["LearnedLatencies"]

from collections.abc import Mapping, Sequence

from fleetnas_controller.hopeless_caps import HopelessLatency
from fleetnas_controller.strategies.strategy import Cap, Reading
from fleetnas_latency.model import LatencyModel
from fleetnas_search_spaces.architecture import Architecture, SearchSpace

_FEWEST_OBSERVATIONS = 3


class LearnedLatencies:
    """A latency model of each device, and whether one of the caps lies beyond every network.

    Args:
        caps: In milliseconds, those of other kinds are passed over.
    """

    def __init__(self, space: SearchSpace, devices: Sequence[str], caps: Sequence[Cap] = ()) -> None:
        self._models = {device: LatencyModel(space) for device in devices}
        self._hopeless = HopelessLatency(space, caps)

    @property
    def hopeless_device(self) -> str:
        """The device whose cap no network can keep; empty where there is none."""
        return self._hopeless.device

    def learn(self, architecture: Architecture, readings: Mapping[str, Reading]) -> None:
        """Takes in one more measured network, in the order they ended."""
        for device, reading in readings.items():
            self._models[device].observe([architecture], [reading.value], [reading.std])
        self._hopeless.learned(self._models, {device: one.value for device, one in readings.items()})

    def predicted_ms(self, architecture: Architecture) -> dict[str, tuple[float, float]]:
        """Mean and deviation on each device of which enough networks are known."""
        known = {
            device: model.predict([architecture])
            for device, model in self._models.items()
            if model.network_count >= _FEWEST_OBSERVATIONS
        }
        return {device: (float(one.mean_ms[0]), float(one.std_ms[0])) for device, one in known.items()}

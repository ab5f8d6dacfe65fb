"""Weights of networks: seeded noise that all networks share, or trained arrays."""

__all__ = ["NamedWeights", "WeightFile", "WeightPool", "Weights"]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError
from fleetnas_search_spaces.whole_files import write_whole

_SMALLEST_SIZE_CLASS = 12  # 16 KiB: under it, more files would cost more than longer ones
_BIAS_FAN_IN = 2**10
_BELL_DEVIATION = math.sqrt(4 * (2**32 - 1) / 12)  # of the sum of four uniform 16-bit integers


class Weights(Protocol):
    """Where exporters and trainers get a node's tensors from."""

    def array(self, name: str, shape: Sequence[int], fan_in: int) -> NDArray[np.float32]:
        """The tensor called ``name``, read-only.

        Args:
            fan_in: How many inputs each output sums; 0 for a bias.
        """
        ...

    def file(self, shape: Sequence[int], fan_in: int) -> "WeightFile | None":
        """The file whose first floats are that tensor; None when the tensors are not in files."""
        ...


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file of little-endian float32.

    Attributes:
        name: The same on every machine, e.g. ``"weights-0-g13-s16.f32"`` (seed, gain class, size class).
    """

    name: str
    path: Path


class WeightPool:
    """Seeded, nearly Gaussian weights, written once and shared by all networks.

    Latency does not depend on a weight's value as long as activations neither vanish into denormal numbers nor
    overflow, so one stream of noise for each *gain* serves every tensor: a tensor of ``n`` elements is the first
    ``n`` floats of the stream whose standard deviation is nearest to ``sqrt(2 / fan_in)`` in half powers of two.
    A stream is kept in files of ``2**s`` floats; a device downloads each file once, whatever is measured on it.

    Args:
        folder: Where the files go, made lazily; None: arrays only.
        seed: Another seed, other noise.
    """

    def __init__(self, folder: Path | None, seed: int = 0) -> None:
        self._folder = folder
        self._seed = seed
        self._streams: dict[int, NDArray[np.float32]] = {}

    def array(self, name: str, shape: Sequence[int], fan_in: int) -> NDArray[np.float32]:
        gain, size = _classes(shape, fan_in)
        return self._stream(gain, size)[: math.prod(shape)].reshape(shape)

    def file(self, shape: Sequence[int], fan_in: int) -> WeightFile | None:
        if self._folder is None:
            return None
        gain, size = _classes(shape, fan_in)
        name = f"weights-{self._seed}-g{gain}-s{size}.f32"
        path = self._folder / name
        if not path.is_file() or path.stat().st_size != 4 << size:
            _write_whole(path, self._stream(gain, size)[: 2**size])
        return WeightFile(name, path)

    def _stream(self, gain: int, size: int) -> NDArray[np.float32]:
        """At least ``2**size`` floats of a gain class; longer ones begin with the shorter ones."""
        known = self._streams.get(gain)
        if known is None or len(known) < 2**size:
            known = _bell_noise((self._seed, gain), 2**size, 2.0 ** (-gain / 2.0))
            known.flags.writeable = False
            self._streams[gain] = known
        return known


class NamedWeights:
    """Trained tensors by name.

    Args:
        arrays: E.g. ``{"stem.conv.weight": ..., "stem.conv.bias": ...}``, batch normalisation folded in.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        self._arrays = arrays

    def array(self, name: str, shape: Sequence[int], fan_in: int) -> NDArray[np.float32]:
        """Raises NotFoundError or InvalidArgumentError for a missing tensor or one of another shape."""
        if name not in self._arrays:
            raise NotFoundError(
                f"no tensor '{name}' among the {len(self._arrays)} given: train the whole network."
            )
        found = np.ascontiguousarray(self._arrays[name], dtype="<f4")
        if found.shape != tuple(shape):
            raise InvalidArgumentError(
                f"tensor '{name}' has the shape {found.shape}, the network needs {tuple(shape)}."
            )
        return found

    def file(self, shape: Sequence[int], fan_in: int) -> WeightFile | None:
        return None


def _classes(shape: Sequence[int], fan_in: int) -> tuple[int, int]:
    """The gain class (standard deviation ``2**(-gain/2)``) and the size class (``2**size`` floats)."""
    gain = round(math.log2((fan_in or _BIAS_FAN_IN) / 2.0))
    return max(gain, 0), max(_SMALLEST_SIZE_CLASS, math.ceil(math.log2(max(math.prod(shape), 1))))


def _bell_noise(seed: tuple[int, int], count: int, deviation: float) -> NDArray[np.float32]:
    """``count`` floats near to Gaussian: each a sum of the four 16-bit parts of one raw 64-bit number.

    numpy keeps the stream of raw numbers from version to version, not that of ``standard_normal``.
    """
    raw = np.random.PCG64(list(seed)).random_raw(count).astype("<u8")
    sums = raw.view("<u2").reshape(count, 4).sum(axis=1, dtype=np.int64)
    centred = (sums - 2 * (2**16 - 1)).astype(np.float32)
    noise: NDArray[np.float32] = (centred * np.float32(deviation / _BELL_DEVIATION)).astype("<f4")
    return noise


def _write_whole(path: Path, values: NDArray[np.float32]) -> None:
    """Under another name first: a reader never sees half a file, whoever is killed when."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, values.tobytes())

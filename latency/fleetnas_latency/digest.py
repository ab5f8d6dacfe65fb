"""A few numbers that tell whether two runtimes computed the same output."""

__all__ = ["digests_agree", "output_digest"]

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.errors import InvalidArgumentError

_PROBE_COUNT = 6


def output_digest(output: NDArray[np.generic]) -> tuple[float, ...]:
    """Size, sum, sum of magnitudes, largest magnitude, and values at six fixed positions.

    Raises:
        InvalidArgumentError: ``output`` has no element.
    """
    values = np.asarray(output, dtype=np.float64).ravel()
    if not values.size:
        raise InvalidArgumentError(
            f"the output of shape {output.shape} has no element: check the model's output"
        )
    magnitudes = np.abs(values)
    probes = np.linspace(0, values.size - 1, _PROBE_COUNT).round().astype(np.int64)
    parts = (float(values.size), values.sum(), magnitudes.sum(), magnitudes.max(), *values[probes])
    return tuple(float(part) for part in parts)


def digests_agree(first: Sequence[float], second: Sequence[float], tolerance: float) -> bool:
    """Whether every part agrees within ``tolerance`` of the output's own scale.

    Sums may differ by the tolerance times the sum of magnitudes, values by the tolerance times the largest
    magnitude, since rounding errors are relative to these and not to a value that happens to be near zero. A
    digest with a part that is not finite agrees with none.
    """
    if len(first) != len(second) or len(first) < 4 or not all(map(math.isfinite, (*first, *second))):
        return False
    if first[0] != second[0]:
        return False
    sum_scale = max(first[2], second[2])
    value_scale = max(first[3], second[3])
    scales = (sum_scale, sum_scale, *[value_scale] * (len(first) - 3))
    return all(
        abs(one - other) <= tolerance * scale
        for one, other, scale in zip(first[1:], second[1:], scales, strict=True)
    )

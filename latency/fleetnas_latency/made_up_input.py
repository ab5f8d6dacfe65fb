"""The input that every network is run on."""

__all__ = ["made_up_input"]

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SEED = 0


def made_up_input(shape: Sequence[int | str | None], kind: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Seeded noise, the same for every runtime; a dimension without a size counts as 1.

    Raises:
        TypeError: ``kind`` is no number.
    """
    sizes = [one if isinstance(one, int) and one > 0 else 1 for one in shape]
    noise = np.random.default_rng(_SEED).standard_normal(sizes)
    if kind.kind == "f":
        return noise.astype(kind)
    if kind.kind in "iu":
        return (np.abs(noise) * 10).astype(kind)
    raise TypeError(f"its input is a {kind}, which cannot be made up")

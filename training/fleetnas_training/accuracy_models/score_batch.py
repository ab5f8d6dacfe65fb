"""The batch of images that scores are computed on."""

__all__ = ["ScoreBatch", "cifar10_batch", "score_batch", "synthetic_batch"]

import hashlib
import io
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FILE = Path("cifar10_jpeg") / "cifar10_train.npz"
_COUNT = 32
_MEAN, _STD = (0.4913, 0.4821, 0.4465), (0.2452, 0.2428, 0.2606)


@dataclass(frozen=True, slots=True)
class ScoreBatch:
    """Images and labels.

    Attributes:
        images: Standardised, shape ``(batch, 3, height, width)``, float32.
        labels: Shape ``(batch,)``.
        described: What they are, in words.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    described: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()


def score_batch(resolution_px: int) -> ScoreBatch:
    """Images of CIFAR-10 at 32 px where the folder ``FLEETNAS_DATA`` has them, else synthetic ones."""
    path = Path(os.environ.get("FLEETNAS_DATA", "")) / _FILE
    return cifar10_batch(path) if resolution_px == 32 and path.is_file() else synthetic_batch(resolution_px)


def cifar10_batch(path: Path) -> ScoreBatch:
    """The first images of the training set, whose classes take turns."""
    from PIL import Image

    with np.load(path, allow_pickle=False) as stored:
        head, ends = stored["header"].tobytes(), stored["offsets"][: _COUNT + 1].tolist()
        body, labels = stored["body"][: ends[-1]].tobytes(), stored["labels"][:_COUNT].astype(np.int64)
    pictures = [
        np.asarray(Image.open(io.BytesIO(head + body[start:end])).convert("RGB"), dtype=np.float32)
        for start, end in pairwise(ends)
    ]
    images = (np.stack(pictures) / 255.0 - np.array(_MEAN)) / np.array(_STD)
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    return ScoreBatch(channels_first, labels, f"{_COUNT} training images of CIFAR-10 (JPEG)")


def synthetic_batch(resolution_px: int) -> ScoreBatch:
    """Gaussian noise, always the same."""
    images = np.random.default_rng(0).standard_normal((_COUNT, 3, resolution_px, resolution_px))
    return ScoreBatch(images.astype(np.float32), np.arange(_COUNT) % 10, f"{_COUNT} synthetic images")

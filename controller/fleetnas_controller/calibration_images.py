"""Images from a folder as a network is used to them, for calibration."""

__all__ = ["CalibrationImages", "Scaling"]

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError

_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".webp")
_MOST = 256
_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Scaling:
    """What a network's training did to pixels: ``(value - mean) / std``, values from 0 to 255.

    Attributes:
        mean: Of red, green and blue.
        std: Of the same; above 0.
    """

    mean: tuple[float, float, float] = (128.0, 128.0, 128.0)
    std: tuple[float, float, float] = (128.0, 128.0, 128.0)


class CalibrationImages:
    """The images of a folder and of those in it, by name; of more than 256 as many, evenly spaced.

    Args:
        input_shape: ``(3, height_px, width_px)``.

    Raises:
        NotFoundError: There is no such folder, or no image in it.
        InvalidArgumentError: The network takes something else than colours.
        FailedPreconditionError: Pillow is not installed.
    """

    def __init__(self, folder: Path, input_shape: tuple[int, int, int], scaling: Scaling) -> None:
        if input_shape[0] != _CHANNELS:
            raise InvalidArgumentError(
                f"the network reads {input_shape[0]} channels and images have {_CHANNELS}: export it in fp32."
            )
        try:
            import PIL.Image
        except ImportError as error:
            raise FailedPreconditionError(
                "reading images needs Pillow, which is not installed: pip install 'fleetnas[search]'."
            ) from error
        self._pillow = PIL.Image
        if not folder.is_dir():
            raise NotFoundError(f"no folder '{folder}': name one that holds images with --images.")
        found = sorted(one for one in folder.rglob("*") if one.suffix.lower() in _ENDINGS and one.is_file())
        if not found:
            raise NotFoundError(
                f"no image in '{folder}' (looked for {', '.join(_ENDINGS)}): name another folder with --images."
            )
        self.found_count = len(found)
        count = min(len(found), _MOST)
        self.paths = tuple(found[index * len(found) // count] for index in range(count))
        self._shape = input_shape
        self._scaling = scaling

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Each of ``input_shape``: the middle of the image, shrunk or stretched to the network's size.

        Raises:
            InvalidArgumentError: A file is no whole image.
        """
        return (self._prepared(path) for path in self.paths)

    def _prepared(self, path: Path) -> NDArray[np.float32]:
        try:
            with self._pillow.open(path) as image:
                pixels = np.asarray(self._fitted(image.convert("RGB")), np.float32)
        except (OSError, SyntaxError, ValueError, self._pillow.DecompressionBombError) as error:
            reason = " ".join(str(error).split())
            raise InvalidArgumentError(
                f"'{path}' cannot be read as an image ({reason}): repair it or take it out of the folder."
            ) from error
        scaled = (pixels - np.array(self._scaling.mean)) / np.array(self._scaling.std)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32)

    def _fitted(self, image: Any) -> Any:
        _, height_px, width_px = self._shape
        factor = max(height_px / image.height, width_px / image.width)
        size = (max(width_px, round(image.width * factor)), max(height_px, round(image.height * factor)))
        left, top = (size[0] - width_px) // 2, (size[1] - height_px) // 2
        resized = image.resize(size, self._pillow.Resampling.BILINEAR)
        return resized.crop((left, top, left + width_px, top + height_px))

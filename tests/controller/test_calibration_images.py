from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fleetnas_controller.calibration_images import CalibrationImages, Scaling
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError

SHAPE = (3, 8, 8)


def save(path: Path, size: tuple[int, int], colour: tuple[int, int, int] = (0, 0, 0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_pixels_are_scaled_channel_by_channel(tmp_path: Path) -> None:
    save(tmp_path / "a.png", (8, 8), (10, 20, 30))
    scaling = Scaling((10.0, 10.0, 10.0), (1.0, 2.0, 4.0))
    (image,) = CalibrationImages(tmp_path, SHAPE, scaling)
    assert image.shape == SHAPE
    assert image.dtype == np.float32
    assert [float(channel.max()) for channel in image] == [0.0, 5.0, 5.0]


@pytest.mark.parametrize("size", [(32, 8), (9, 100), (3, 5)], ids=["wide", "tall", "small"])
def test_images_of_any_size_come_in_the_networks(size: tuple[int, int], tmp_path: Path) -> None:
    save(tmp_path / "a.png", size)
    assert [one.shape for one in CalibrationImages(tmp_path, SHAPE, Scaling())] == [SHAPE]


def test_middle_of_an_image_is_taken(tmp_path: Path) -> None:
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, 8:16] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (image,) = CalibrationImages(tmp_path, SHAPE, Scaling((0.0,) * 3, (255.0,) * 3))
    assert float(image.min()) == 1.0


def test_folders_inside_count_and_other_files_do_not(tmp_path: Path) -> None:
    save(tmp_path / "cats" / "one.JPG", (8, 8))
    (tmp_path / "labels.txt").write_text("cats")
    assert [one.name for one in CalibrationImages(tmp_path, SHAPE, Scaling()).paths] == ["one.JPG"]


def test_of_many_images_some_from_all_over_the_folder_are_taken(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"{number:03}.png").touch()
    images = CalibrationImages(tmp_path, SHAPE, Scaling())
    assert (images.found_count, len(images.paths), len(set(images.paths))) == (600, 256, 256)
    assert int(images.paths[-1].stem) > 590


def test_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(InvalidArgumentError, match=r"broken\.png' cannot be read as an image"):
        list(CalibrationImages(tmp_path, SHAPE, Scaling()))


def test_cut_image_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidArgumentError, match=r"a\.png' cannot be read"):
        list(CalibrationImages(tmp_path, SHAPE, Scaling()))


def test_folder_without_images_is_said_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"looked for \.bmp"):
        CalibrationImages(tmp_path, SHAPE, Scaling())


def test_network_of_other_channels_has_no_images(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="reads 1 channels"):
        CalibrationImages(tmp_path, (1, 8, 8), Scaling())

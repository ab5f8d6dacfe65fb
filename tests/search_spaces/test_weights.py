import hashlib
from pathlib import Path

import numpy as np
import pytest

from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError
from fleetnas_search_spaces.weights import NamedWeights, WeightPool


def test_the_shared_weights_are_these_bytes_on_every_machine(tmp_path: Path) -> None:
    file = WeightPool(tmp_path).file((64, 32, 3, 3), fan_in=288)
    assert file is not None
    assert file.name == "weights-0-g7-s15.f32"
    assert (
        hashlib.sha256(file.path.read_bytes()).hexdigest()
        == "c62732b8c268f6215514f88c3f19e3ec9650bc6e839e733c8ee289bd03d4b906"
    )


@pytest.mark.parametrize("fan_in", [9, 288, 1280])
def test_weights_keep_the_size_of_what_flows_through(fan_in: int) -> None:
    values = WeightPool(None).array("w", (200, 500), fan_in)
    wanted = np.sqrt(2.0 / fan_in)
    assert abs(values.mean()) < 0.02 * wanted
    assert 2**-0.26 < values.std() / wanted < 2**0.26  # gains come in half powers of two


def test_a_longer_tensor_begins_with_the_shorter_one() -> None:
    short, long = WeightPool(None).array("a", (4000,), 9), WeightPool(None).array("a", (300_000,), 9)
    assert np.array_equal(short, long[:4000])


def test_another_seed_gives_other_weights() -> None:
    first, second = WeightPool(None, seed=0), WeightPool(None, seed=1)
    assert not np.array_equal(first.array("a", (100,), 9), second.array("a", (100,), 9))


def test_a_half_written_file_is_written_again(tmp_path: Path) -> None:
    file = WeightPool(tmp_path).file((100,), fan_in=9)
    assert file is not None
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[:17])
    assert WeightPool(tmp_path).file((100,), fan_in=9) == file
    assert file.path.read_bytes() == whole
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_a_missing_or_misshapen_trained_tensor_is_named() -> None:
    weights = NamedWeights({"stem.weight": np.zeros((2, 3), np.float32)})
    assert weights.array("stem.weight", (2, 3), 3).shape == (2, 3)
    with pytest.raises(NotFoundError, match=r"head\.weight"):
        weights.array("head.weight", (1,), 1)
    with pytest.raises(InvalidArgumentError, match=r"\(2, 3\).*\(3, 2\)"):
        weights.array("stem.weight", (3, 2), 3)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fleetnas_latency.digest import digests_agree, output_digest
from fleetnas_search_spaces.errors import InvalidArgumentError

outputs = arrays(np.float32, st.integers(1, 50), elements=st.floats(-100, 100, width=32))


@given(outputs)
def test_output_agrees_with_itself(output: np.ndarray) -> None:
    assert digests_agree(output_digest(output), output_digest(output), 0.0)


@given(outputs, st.integers(0, 1000))
def test_rounding_noise_agrees(output: np.ndarray, seed: int) -> None:
    noise = 1.0 + 1e-5 * np.random.default_rng(seed).uniform(-1.0, 1.0, output.shape)
    assert digests_agree(output_digest(output), output_digest(output * noise), 1e-4)


def test_permuted_output_disagrees() -> None:
    output = np.random.default_rng(0).normal(size=1000)
    assert not digests_agree(output_digest(output), output_digest(output[::-1]), 1e-2)


def test_scaled_output_disagrees() -> None:
    output = np.random.default_rng(0).normal(size=1000)
    assert not digests_agree(output_digest(output), output_digest(1.05 * output), 1e-2)


def test_output_of_another_size_disagrees() -> None:
    assert not digests_agree(output_digest(np.zeros(10)), output_digest(np.zeros(11)), 1e-2)


def test_output_with_nan_agrees_with_none() -> None:
    digest = output_digest(np.array([1.0, np.nan]))
    assert not digests_agree(digest, digest, 1e-2)


def test_digest_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="no element"):
        output_digest(np.zeros((0, 3)))

import numpy as np
import pytest

from fleetnas_latency.few_shot.cell_structure import CellStructure
from fleetnas_latency.few_shot.source_prior import (
    SourceDevice,
    believed_from_features,
    believed_from_sources,
    device_family,
    learn_source,
)
from fleetnas_search_spaces.errors import InvalidArgumentError

from .conftest import Device, Floats


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("titanx_256", "titanx"),
        ("titan_rtx_1", "titan_rtx"),
        ("gold_6240", "gold"),
        ("silver_4210r", "silver"),
        ("essential_ph_1", "essential_ph"),
        ("samsung_a50", "samsung_a50"),
        ("pixel3", "pixel3"),
        ("1080ti_32", "1080ti"),
    ],
)
def test_family_is_the_name_without_its_sizes(name: str, family: str) -> None:
    assert device_family(name) == family


def test_source_is_learned_whatever_its_speed(structure: CellStructure, rows: Floats, device: Device) -> None:
    latency_ms = device("raw", 1)
    slow, fast = (
        learn_source(structure, rows, factor * latency_ms, rows, name="a") for factor in (50.0, 1.0)
    )
    np.testing.assert_allclose(slow.costs, fast.costs, rtol=1e-6)
    assert (rows[0][:, :5] @ slow.costs).mean() == pytest.approx(1.0, rel=0.01)


def test_source_is_learned_under_the_hypothesis_that_suits_it(
    structure: CellStructure, rows: Floats, device: Device
) -> None:
    raw, pruned = (
        learn_source(structure, rows, device(kind, 1), rows, name=kind) for kind in ("raw", "canonical")
    )
    ratio = [one.costs[3] / one.costs[0] for one in (raw, pruned)]  # a 3 x 3 convolution over the overhead
    assert ratio[0] == pytest.approx(ratio[1], rel=0.1)


def test_each_family_weighs_the_same(structure: CellStructure) -> None:
    low, high = np.full(5, 0.1), np.full(5, 0.3)
    many = [SourceDevice(f"a_{index}", "a", low, 1.0) for index in range(9)]
    found = believed_from_sources(structure, [*many, SourceDevice("b", "b", high, 1.0)])
    assert found.mean[0, :5] == pytest.approx(np.full(5, 0.2))


def test_entries_that_sources_disagree_on_stay_open(structure: CellStructure) -> None:
    costs = np.array([[0.5, 0.0, 0.1, 0.2, 0.05], [0.5, 0.0, 0.1, 0.4, 0.05]])
    found = believed_from_sources(
        structure, [SourceDevice(str(i), str(i), one, 1.0) for i, one in enumerate(costs)]
    )
    spread = np.sqrt(np.diag(found.factor[0] @ found.factor[0].T))[:5] / np.maximum(found.mean[0, :5], 1e-9)
    assert spread[3] > 1.1 * spread[0]


def test_no_source_is_said_with_the_cure(structure: CellStructure) -> None:
    with pytest.raises(InvalidArgumentError, match="give sources"):
        believed_from_sources(structure, [])


def test_prior_from_features_expects_a_mean_of_one(structure: CellStructure, rows: Floats) -> None:
    found = believed_from_features(structure, rows)
    assert (rows[0] @ found.mean[0]).mean() == pytest.approx(1.0, rel=0.05)
    assert found.mean[0, 3] > found.mean[0, 2] > 0.0

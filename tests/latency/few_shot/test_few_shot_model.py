import numpy as np
import pytest

from fleetnas_latency.few_shot.cell_structure import CellStructure
from fleetnas_latency.few_shot.few_shot_model import FewShotModel
from fleetnas_latency.few_shot.robust_posterior import Believed
from fleetnas_latency.few_shot.source_prior import (
    believed_from_features,
    believed_from_sources,
    learn_source,
)
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import FailedPreconditionError, InvalidArgumentError

from .conftest import Device, Floats

Cells = tuple[Architecture, ...]
ASKED = slice(1000, 3000)


@pytest.fixture(scope="module")
def believed(structure: CellStructure, rows: Floats, device: Device) -> Believed:
    """Other devices all run dead edges."""
    sources = [learn_source(structure, rows, device("raw", seed), rows, name=str(seed)) for seed in range(4)]
    return believed_from_sources(structure, sources)


def _chosen(model: FewShotModel, cells: Cells, latency_ms: Floats, count: int) -> list[int]:
    taken: list[int] = []
    while len(taken) < count:
        index = model.choose(cells[:500], cells[500:700], taken)
        model.observe([cells[index]], latency_ms[[index]], [0.0])
        taken.append(index)
    return taken


def _rank(values: Floats) -> Floats:
    return np.argsort(np.argsort(values)).astype(float)


@pytest.mark.parametrize(
    "hypothesis", ["raw", "backward-alive", "forward-alive", "canonical", "zero-folded", "parallel"]
)
def test_ten_chosen_networks_find_out_what_a_new_runtime_executes(
    structure: CellStructure, believed: Believed, cells: Cells, device: Device, hypothesis: str
) -> None:
    errors = []
    for seed in (77, 300, 301):  # 77 is the hardest of thirteen devices tried: twice the usual error
        latency_ms = device(hypothesis, seed)
        model = FewShotModel(structure, lambda: believed)
        _chosen(model, cells, latency_ms, 10)
        weights = model.hypothesis_weights()
        assert max(weights, key=lambda name: weights[name]) == hypothesis
        found, true_ms = model.predict(cells[ASKED]).mean_ms, latency_ms[ASKED]
        assert np.corrcoef(_rank(found), _rank(true_ms))[0, 1] > 0.97
        errors.append(np.median(np.abs(found / true_ms - 1.0)))
    assert np.mean(errors) < 0.05


def test_ninety_percent_intervals_hold_about_ninety_percent(
    structure: CellStructure, believed: Believed, cells: Cells, device: Device
) -> None:
    shares = []
    for seed in range(8):
        latency_ms = device("raw", 100 + seed)
        model = FewShotModel(structure, lambda: believed)
        model.observe(cells[:30], latency_ms[:30], np.zeros(30))
        found = model.predict(cells[ASKED])
        shares.append((np.abs(found.mean_ms - latency_ms[ASKED]) <= 1.645 * found.std_ms).mean())
    assert 0.86 < np.mean(shares) < 0.95
    assert min(shares) > 0.75


def test_without_other_devices_thirty_networks_are_enough(
    structure: CellStructure, cells: Cells, rows: Floats, device: Device
) -> None:
    latency_ms = device("canonical", 5)
    model = FewShotModel(structure, lambda: believed_from_features(structure, rows))
    model.observe(cells[:30], latency_ms[:30], np.zeros(30))
    error = np.abs(model.predict(cells[ASKED]).mean_ms / latency_ms[ASKED] - 1.0)
    assert np.median(error) < 0.03


def test_chosen_networks_are_all_different_and_chance_follows_after_a_while(
    structure: CellStructure, believed: Believed, cells: Cells, device: Device
) -> None:
    taken = _chosen(FewShotModel(structure, lambda: believed), cells, device("raw", 3), 16)
    assert len(set(taken)) == 16
    assert taken[7:] == sorted(taken[7:])  # in the candidates' own order


def test_explanation_adds_up_to_the_prediction(
    structure: CellStructure, believed: Believed, cells: Cells, device: Device
) -> None:
    model = FewShotModel(structure, lambda: believed)
    model.observe(cells[:60], device("raw", 8)[:60], np.zeros(60))
    shares = model.explain(cells[100])
    assert sum(one.mean_ms for one in shares) == pytest.approx(
        model.predict(cells[100:101]).mean_ms[0], rel=0.02
    )


def test_entry_never_measured_is_requested(
    structure: CellStructure, believed: Believed, cells: Cells
) -> None:
    model = FewShotModel(structure, lambda: believed)
    model.observe([structure.space.parse("333333")], [20.0], [0.1])
    assert {one.network_count for one in model.requests()} == {0}
    assert len(model.requests()) == 3  # skip, 1 x 1, pooling
    assert model.coverage()[0].network_count == 1


def test_nothing_observed_is_said_with_the_cure(
    structure: CellStructure, believed: Believed, cells: Cells
) -> None:
    with pytest.raises(FailedPreconditionError, match="measure some networks"):
        FewShotModel(structure, lambda: believed).predict(cells[:1])


def test_network_of_another_space_is_refused(structure: CellStructure, believed: Believed) -> None:
    with pytest.raises(InvalidArgumentError, match="nas-bench-macro"):
        FewShotModel(structure, lambda: believed).observe(
            [Architecture("nas-bench-macro", (0,) * 8, 32)], [1.0], [0.1]
        )


def test_ten_more_networks_are_foreseen_to_help_and_do(
    structure: CellStructure, cells: Cells, rows: Floats, device: Device
) -> None:
    latency_ms = device("raw", 21)
    model = FewShotModel(structure, lambda: believed_from_features(structure, rows))
    model.observe(cells[:4], latency_ms[:4], np.zeros(4))
    now, later = model.foreseen_errors(cells[:300], cells[300:500], 10)
    assert 0.0 < later < 0.8 * now
    _chosen(model, cells, latency_ms, 10)
    assert model.foreseen_errors(cells[:300], cells[300:500], 0)[0] < 0.8 * now


def test_network_that_a_runtime_may_cut_off_whole_is_not_chosen_to_be_measured(
    structure: CellStructure, believed: Believed, cells: Cells, device: Device
) -> None:
    taken = _chosen(FewShotModel(structure, lambda: believed), cells, device("raw", 4), 7)
    canonical = structure.rows([cells[index] for index in taken])[3]
    assert canonical[:, 1:].any(axis=1).all()
    assert not structure.rows(cells[:500])[3][:, 1:].any(axis=1).all()  # there are such networks

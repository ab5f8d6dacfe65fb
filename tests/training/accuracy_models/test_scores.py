from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fleetnas_search_spaces.architecture import Architecture, SearchSpace
from fleetnas_search_spaces.choices import canonical_members
from fleetnas_search_spaces.errors import DataLossError, FailedPreconditionError, NotFoundError
from fleetnas_training.accuracy_file import AccuracyFile, read_accuracy_file, write_accuracy_file
from fleetnas_training.accuracy_model import fit_accuracy_model
from fleetnas_training.accuracy_models import scores as scores_module
from fleetnas_training.accuracy_models.score_batch import score_batch, synthetic_batch
from fleetnas_training.accuracy_models.scores import ScoreCache, ZeroCostScores, score_names
from fleetnas_training.accuracy_models.zero_cost import SCORES, score
from fleetnas_training.trainings import Trainings

_BATCH = synthetic_batch(8)
_IMAGES, _LABELS = torch.from_numpy(_BATCH.images), torch.from_numpy(_BATCH.labels)


class _Told:
    """Scores that are known beforehand."""

    def __init__(self, table: dict[str, dict[Architecture, float]]) -> None:
        self._table = table
        self.names = tuple(table)

    def values(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        return np.array([[self._table[name][one] for name in self.names] for one in architectures])

    def only(self, names: tuple[str, ...]) -> "_Told":
        return _Told({name: self._table[name] for name in names})


@pytest.mark.parametrize("name", sorted(SCORES))
def test_score_is_finite_and_the_same_again(tiny_space: SearchSpace, name: str) -> None:
    graph = tiny_space.graph(tiny_space.parse("123"))
    before = torch.random.get_rng_state()
    first, second = (score(graph, name, _IMAGES, _LABELS) for _ in range(2))
    assert np.isfinite(first)
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), before)


def test_synaptic_flow_of_linear_layers_is_the_product_of_their_weights(tiny_space: SearchSpace) -> None:
    one = tiny_space.parse("012")
    wide = score(tiny_space.graph(tiny_space.parse("333")), "synflow", _IMAGES, _LABELS)
    narrow = score(tiny_space.graph(one), "synflow", _IMAGES, _LABELS)
    other_images = score(tiny_space.graph(one), "synflow", 3.0 * _IMAGES, _LABELS)
    assert wide > narrow
    assert other_images == narrow


def test_each_score_is_computed_once(
    tiny_space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, networks = (
        ScoreCache(tmp_path / "new" / "scores.db"),
        [tiny_space.parse("000"), tiny_space.parse("111")],
    )
    first = ZeroCostScores(tiny_space, ("synflow", "grad_norm"), _BATCH, cache).values(networks)
    monkeypatch.setattr(ZeroCostScores, "_computed", lambda *_: pytest.fail("computed again"))
    again = ZeroCostScores(tiny_space, ("grad_norm", "synflow"), _BATCH, cache).values(networks)
    assert np.array_equal(first, again[:, ::-1])
    assert cache.get(networks[0].key, "synflow", "another batch") is None


def test_batch_is_synthetic_and_says_so_where_there_are_no_images(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLEETNAS_DATA", str(tmp_path))
    assert score_batch(32).described == "32 synthetic images"
    assert score_batch(32).digest == score_batch(32).digest != score_batch(16).digest


def test_score_is_kept_only_where_it_helps(tiny_space: SearchSpace) -> None:
    members = list(canonical_members(tiny_space, 100) or ())
    Random(0).shuffle(members)
    hidden = dict(zip(members, np.random.default_rng(1).standard_normal(64), strict=True))
    noise = dict(zip(members, np.random.default_rng(2).standard_normal(64), strict=True))
    accuracies = [70.0 + 4.0 * hidden[one] for one in members[:40]]
    trainings = Trainings.of(tiny_space, members[:40], accuracies)
    model, candidates = fit_accuracy_model(
        trainings, ["gaussian-process"], _Told({"noise": noise, "told": hidden})
    )
    assert "told" in candidates[0].scores
    found = model.predict(members[40:]).mean_percent
    assert np.corrcoef(found, [hidden[one] for one in members[40:]])[0, 1] > 0.9


def test_model_with_scores_reads_back_and_wants_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    from fleetnas_search_spaces.registry import space

    macro = space("nas-bench-macro")
    networks = [macro.canonical(macro.sample(Random(number))) for number in range(15)]
    known = {one: [float(number)] for number, one in enumerate(dict.fromkeys(networks))}
    monkeypatch.setenv("FLEETNAS_DATA", "")
    scores = ZeroCostScores(macro, ("synflow",), score_batch(32), known=known)
    accuracies = [60.0 + 2.0 * known[one][0] for one in networks]
    model, candidates = fit_accuracy_model(
        Trainings.of(macro, networks, accuracies), ["bayesian-ridge"], scores
    )
    assert candidates[0].scores == ("synflow",)
    raw = write_accuracy_file(AccuracyFile(model, "a test", [{"name": candidates[0].name}]))
    back = read_accuracy_file(raw).model.predict(networks)
    assert np.array_equal(back.mean_percent, model.predict(networks).mean_percent)
    monkeypatch.setattr(scores_module, "score_batch", lambda _: _BATCH)
    with pytest.raises(FailedPreconditionError, match="were computed on 32 synthetic images"):
        read_accuracy_file(raw)


def test_damaged_cache_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scores.db"
    path.write_text("no database, but long enough to be looked at " * 40)
    with pytest.raises(DataLossError, match=r"scores\.db"):
        ScoreCache(path).get("network", "synflow", "batch")


def test_unknown_score_is_refused() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'synflow'"):
        score_names("sinflow")

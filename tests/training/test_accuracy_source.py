import pytest

from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError, NotFoundError
from fleetnas_training.accuracy_source import PublishedTable, accuracy_source

_REFERENCE = Architecture("nas-bench-macro", (2,) * 8, 32)
_PUBLISHED = {92.88, 92.92, 93.06}


def test_mean_of_the_published_trainings() -> None:
    accuracy = accuracy_source("table:nas-bench-macro").evaluate(_REFERENCE, draw=0)
    assert accuracy.value_percent == pytest.approx(92.9533, abs=1e-4)
    assert "mean of 3 trainings" in accuracy.fidelity
    assert accuracy.source == "table:nas-bench-macro"


def test_the_mean_is_the_same_at_every_draw() -> None:
    source = accuracy_source("table:nas-bench-macro")
    assert not source.noisy
    assert source.evaluate(_REFERENCE, draw=1) == source.evaluate(_REFERENCE, draw=2)


def test_single_gives_each_of_the_published_trainings_in_turn() -> None:
    source = accuracy_source("table:nas-bench-macro:single")
    assert source.noisy
    assert {source.evaluate(_REFERENCE, draw).value_percent for draw in range(40)} == _PUBLISHED


def test_the_same_draw_gives_the_same_training_in_another_process_too() -> None:
    values = [
        accuracy_source("table:nas-bench-macro:single", seed=3).evaluate(_REFERENCE, draw).value_percent
        for draw in range(6)
    ]
    assert values == [93.06, 92.88, 92.88, 92.88, 92.92, 92.88]


def test_another_seed_gives_other_draws() -> None:
    one, other = (accuracy_source("table:nas-bench-macro:single", seed=seed) for seed in (0, 1))
    assert any(one.evaluate(_REFERENCE, draw) != other.evaluate(_REFERENCE, draw) for draw in range(20))


def test_one_training_is_less_sure_than_the_mean_of_three() -> None:
    single = accuracy_source("table:nas-bench-macro:single").evaluate(_REFERENCE, 0).std_percent
    mean = accuracy_source("table:nas-bench-macro").evaluate(_REFERENCE, 0).std_percent
    assert single == pytest.approx(mean * 3**0.5)


def test_architecture_of_another_resolution_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="nas-bench-macro/64/"):
        accuracy_source("table:nas-bench-macro").evaluate(Architecture("nas-bench-macro", (2,) * 8, 64), 0)


def test_unknown_source_names_the_near_ones() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'table:nas-bench-macro'"):
        accuracy_source("table:nas-bench-makro")


def test_empty_source_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="no accuracy source given"):
        accuracy_source("")


def test_a_table_of_the_user_s_own() -> None:
    one = Architecture("mine", (0,), 8)
    table = PublishedTable("table:mine", {one.key: (70.0, 72.0)}, single=False, described="5 epochs")
    accuracy = table.evaluate(one, 0)
    assert (accuracy.value_percent, accuracy.fidelity) == (71.0, "mean of 2 trainings, 5 epochs")
    assert accuracy.std_percent == pytest.approx(1.0)

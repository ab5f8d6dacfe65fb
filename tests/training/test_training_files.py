import pytest

from fleetnas_search_spaces.architecture import SearchSpace
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_training.training_files import read_trainings

_CODES = [f"{a}{b}0" for a in range(4) for b in range(3)]


def _text(head: str, row: str, more: str = "") -> str:
    return "\n".join([head, *(row.format(code) for code in _CODES), more])


def test_rows_of_one_network_are_repeated_trainings(tiny_space: SearchSpace) -> None:
    found = read_trainings(_text("arch,accuracy", "{},90.5", "000,90.1"), tiny_space)
    assert len(found.at("")) == 13
    assert found.noisy("")


def test_the_largest_number_of_epochs_is_predicted(tiny_space: SearchSpace) -> None:
    text = _text("arch,accuracy,epochs", "{},90.5,200", "001,70,12\n002,60,3")
    assert read_trainings(text, tiny_space).levels == ("3", "12", "200")


def test_named_fidelity_leaves_out_what_is_above_it(tiny_space: SearchSpace) -> None:
    text = _text("arch,accuracy,fidelity", "{},90.5,12", "001,94,200")
    assert read_trainings(text, tiny_space, fidelity="12").levels == ("12",)


def test_proxy_comes_below_every_accuracy_and_may_stand_alone(tiny_space: SearchSpace) -> None:
    text = _text("arch,accuracy,speed", "{},90.5,812.5", "333,,900.25")
    found = read_trainings(text, tiny_space, proxy="speed")
    assert (found.levels, found.proxies) == (("speed", ""), frozenset({"speed"}))
    assert (len(found.at("speed")), len(found.at(""))) == (13, 12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the columns are none: one must be 'arch'"),
        ("arch,top1\n000,90\n", "the columns are arch, top1: one must be 'accuracy'"),
        ("arch,accuracy\n000,good\n", "line 2 has 'good' for 'accuracy'"),
        ("arch,accuracy\n000\n", "line 2 has '' for 'accuracy'"),
        ("arch,accuracy\n999,90\n", "line 2: choice 0 of space 'tiny' is 9"),
        ("arch,accuracy,epochs\n000,90,few\n001,90,12\n", "are not all numbers"),
    ],
)
def test_bad_table_is_named_by_its_line(tiny_space: SearchSpace, text: str, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        read_trainings(text, tiny_space)


def test_fidelity_that_no_row_has_is_refused_with_the_known_ones(tiny_space: SearchSpace) -> None:
    text = _text("arch,accuracy,epochs", "{},90.5,12")
    with pytest.raises(InvalidArgumentError, match="no training has the fidelity '200': there are 12"):
        read_trainings(text, tiny_space, fidelity="200")

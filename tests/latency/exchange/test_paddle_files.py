import pytest

from fleetnas_latency.exchange.paddle_files import PaddleFormat, read_paddle, write_paddle
from fleetnas_latency.exchange.records import FileRecord, Unit
from fleetnas_search_spaces.errors import InvalidArgumentError
from fleetnas_search_spaces.operators import Activation, Operator, OperatorKind

NEW = """op_type\t855\tus
conv,0,1,1,48,160,160,48,48,3,1,2,1\t860
relu6,1,32,112,112\t12.5
eltwise,2,1,24,56,56\t30
pooling,1,1,64,8,8,8,0,1,0,3\t7
batch_norm,None,1,24,56,56\t20
softmax,1,1,1000,1,1\t3
conv,0,0,1,16,8,8,16,1,3,2,1,2\t99
"""
OLD = """conv 0 1 1 48 160 160 48 48 3 1 2 1 860
activation relu6 1 32 112 112 12.5
"""


def test_convolution_is_read_with_all_it_has() -> None:
    record = read_paddle(NEW)[0]
    assert record.latency_ms == pytest.approx(0.860)
    assert record.operator == Operator(
        OperatorKind.CONV,
        48,
        48,
        160,
        kernel_px=3,
        stride=2,
        padding_px=1,
        groups=48,
        activation=Activation.RELU,
    )


def test_both_formats_say_the_same() -> None:
    assert read_paddle(OLD, Unit.MICROSECONDS) == read_paddle(NEW)[:2]


def test_operator_we_have_none_for_keeps_its_own_key() -> None:
    kept = [one.key for one in read_paddle(NEW) if one.operator is None]
    assert kept == ["paddleslim/softmax,1,1,1000,1,1", "paddleslim/conv,0,0,1,16,8,8,16,1,3,2,1,2"]


@pytest.mark.parametrize("style", list(PaddleFormat))
def test_what_was_read_is_written_as_it_was(style: PaddleFormat) -> None:
    text, left_out = write_paddle(read_paddle(NEW), style, device="855", unit=Unit.MICROSECONDS)
    assert left_out == ()
    assert read_paddle(text, Unit.MICROSECONDS) == read_paddle(NEW)
    if style is PaddleFormat.COMMAS:
        assert text == NEW
    else:
        assert text.startswith(OLD)


def test_block_has_no_word_and_is_named_as_left_out() -> None:
    block = FileRecord.of_operator(Operator(OperatorKind.INVERTED_RESIDUAL, 16, 24, 32), 1.0)
    text, left_out = write_paddle([block], PaddleFormat.BLANKS, device="d", unit=Unit.MILLISECONDS)
    assert text == ""
    assert left_out == (block.key,)


def test_unit_that_is_nowhere_is_asked_for() -> None:
    with pytest.raises(InvalidArgumentError, match="give --unit"):
        read_paddle(OLD)
    with pytest.raises(InvalidArgumentError, match="give --unit"):
        read_paddle("engine\tphone\t2020-05-01\nrelu,1,8,4,4\t3\n")


def test_units_are_converted() -> None:
    assert read_paddle(OLD, Unit.MILLISECONDS)[0].latency_ms == 860.0
    assert read_paddle(OLD, Unit.SECONDS)[0].latency_ms == 860_000.0


@pytest.mark.parametrize(
    "line",
    ["conv,0,1,1,48\t860", "conv,0,x,1,48,160,160,48,48,3,1,2,1\t860", "relu,1,8,4,4\tfast"],
)
def test_broken_line_is_said(line: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"fields|whole number|no latency"):
        read_paddle(line, Unit.MILLISECONDS)

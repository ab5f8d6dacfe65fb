import pytest
from sqlite_utils import Database

from fleetnas_latency.exchange.records import FileRecord, observations_of
from fleetnas_latency.foreign_network import Knowledge, predict_operators
from fleetnas_latency.table import LatencyTable
from fleetnas_latency.target import Target
from fleetnas_search_spaces.errors import FailedPreconditionError
from fleetnas_search_spaces.operators import Operator, OperatorKind
from fleetnas_search_spaces.read_onnx import OnnxOperator

TARGET = Target("phone", "ncnn", "1.0")


def _conv(channels: int, *, bias: bool = False) -> Operator:
    return Operator(OperatorKind.CONV, channels, channels, 16, kernel_px=3, padding_px=1, bias=bias)


def _true_ms(channels: int) -> float:
    return 0.05 + 9 * channels**2 * 256 / 1e9


def _table(count: int = 8) -> LatencyTable:
    table = LatencyTable(Database(memory=True))
    records = [FileRecord.of_operator(_conv(8 * size), _true_ms(8 * size)) for size in range(1, count + 1)]
    table.put_observations(observations_of(records, TARGET, 1.0))
    return table


def test_known_operator_costs_what_the_table_says_with_or_without_a_bias() -> None:
    asked = [OnnxOperator("a", "Conv", _conv(16, bias=bias), True) for bias in (False, True)]
    found = predict_operators(_table(), TARGET, asked)
    assert found.mean_ms == pytest.approx(2.0 * _true_ms(16))
    assert found.share_of(Knowledge.KNOWN) == pytest.approx(1.0)


def test_operator_never_seen_is_guessed_from_its_size_with_a_wide_interval() -> None:
    found = predict_operators(_table(), TARGET, [OnnxOperator("a", "Conv", _conv(100), True)])
    (share,) = found.shares
    assert share.knowledge is Knowledge.GUESSED
    assert share.mean_ms == pytest.approx(_true_ms(100), rel=0.3)
    assert share.std_ms >= 0.3 * share.mean_ms


def test_unknown_kind_is_neither_zero_nor_sure() -> None:
    stand_in = Operator(OperatorKind.ACTIVATION, 64, 64, 16)
    found = predict_operators(_table(), TARGET, [OnnxOperator("a", "Softplus", stand_in, False)])
    (share,) = found.shares
    assert share.knowledge is Knowledge.UNKNOWN
    assert share.std_ms == share.mean_ms > 0.0


def test_deviations_of_guesses_add_up() -> None:
    one = OnnxOperator("a", "Conv", _conv(100), True)
    single, double = (predict_operators(_table(), TARGET, [one] * count) for count in (1, 2))
    assert double.std_ms == pytest.approx(2.0 * single.std_ms)


def test_too_few_operators_to_guess_from_is_said() -> None:
    with pytest.raises(FailedPreconditionError, match="latency import"):
        predict_operators(_table(3), TARGET, [OnnxOperator("a", "Conv", _conv(100), True)])

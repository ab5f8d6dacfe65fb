import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetnas_controller.strategies.objective import check_caps, excesses, price_points, reward, violation
from fleetnas_controller.strategies.strategy import Cap, CapKind, Outcome, Reading, SoftCap
from fleetnas_search_spaces.architecture import Architecture
from fleetnas_search_spaces.errors import InvalidArgumentError

_ONE = Architecture("tiny", (0, 0, 0), 8)
_CAP = Cap(CapKind.LATENCY_MS, 10.0, "phone")


def _outcome(
    latency_ms: float, *, std_ms: float = 0.0, accuracy: float | None = 90.0, macs: int = 5
) -> Outcome:
    return Outcome(0, _ONE, accuracy, {"phone": Reading(latency_ms, std_ms)}, macs=macs)


def test_kept_caps_leave_the_accuracy() -> None:
    assert reward(_outcome(9.0), (_CAP,)) == 90.0


@given(latency_ms=st.floats(10.01, 1e4), accuracy=st.floats(-900.0, 100.0))
def test_a_broken_cap_is_worse_than_any_accuracy(latency_ms: float, accuracy: float) -> None:
    broken = reward(_outcome(latency_ms, accuracy=100.0), (_CAP,))
    kept = reward(_outcome(1.0, accuracy=accuracy), (_CAP,))
    assert broken is not None
    assert kept is not None
    assert broken < kept


def test_nearer_to_the_cap_is_better() -> None:
    near, far = reward(_outcome(11.0), (_CAP,)), reward(_outcome(15.0), (_CAP,))
    assert near is not None
    assert far is not None
    assert near > far


def test_the_reading_s_upper_end_counts() -> None:
    assert violation(_outcome(9.9, std_ms=0.1), (_CAP,)) == pytest.approx(0.01)


def test_violations_of_several_caps_add_up() -> None:
    caps = (_CAP, Cap(CapKind.MACS, 4))
    assert violation(_outcome(12.0, macs=5), caps) == pytest.approx(0.2 + 0.25)


def test_the_tighter_of_two_caps_on_one_device_counts() -> None:
    caps = (Cap(CapKind.LATENCY_MS, 20.0, "phone"), _CAP)
    assert excesses(_outcome(12.0), caps) == {"latency_ms:phone": pytest.approx(0.2)}


def test_unmeasured_and_failed_trials_have_no_reward() -> None:
    assert reward(Outcome(0, _ONE, 90.0), (_CAP,)) is None
    assert reward(_outcome(9.0, accuracy=None), (_CAP,)) is None


@pytest.mark.parametrize("cap", [Cap(CapKind.MACS, 0.0), Cap(CapKind.PARAMS, float("nan"))])
def test_a_limit_that_nothing_keeps_is_refused(cap: Cap) -> None:
    with pytest.raises(InvalidArgumentError, match="limit above zero"):
        check_caps([cap])


def test_a_latency_cap_needs_a_device() -> None:
    with pytest.raises(InvalidArgumentError, match="names no device"):
        check_caps([Cap(CapKind.LATENCY_MS, 3.0)])


_SOFT = SoftCap("phone", 8.0, 0.5)


def test_only_what_is_over_a_soft_cap_has_its_price() -> None:
    assert reward(_outcome(7.0), (), (_SOFT,)) == 90.0
    assert reward(_outcome(10.0), (), (_SOFT,)) == 89.0


def test_a_soft_cap_without_a_reading_leaves_the_price_unknown() -> None:
    blind = Outcome(0, _ONE, 90.0)
    assert price_points(blind, (_SOFT,)) is None
    assert reward(blind, (), (_SOFT,)) is None


def test_a_broken_hard_cap_is_worse_than_any_price() -> None:
    broken = reward(_outcome(10.1), (_CAP,))
    dear = reward(_outcome(9.9), (_CAP,), (SoftCap("phone", 1.0, 1e6),))
    assert broken is not None
    assert dear is not None
    assert broken < dear

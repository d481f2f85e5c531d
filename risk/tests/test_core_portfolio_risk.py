from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.core.portfolio_risk import (
    DayEnd,
    added_up,
    correlation_matrix,
    daily_returns,
    max_drawdown,
    tail_risk,
)

MONDAY = date(2026, 6, 1)


def days(*ends: tuple[float, float], start: date = MONDAY) -> list[DayEnd]:
    """Return consecutive days: (equity, transfers)."""
    return [
        DayEnd(start + timedelta(days=number), equity, transfers)
        for number, (equity, transfers) in enumerate(ends)
    ]


def test_a_return_leaves_out_what_was_paid_in_or_out() -> None:
    returns = daily_returns(days((100.0, 100.0), (110.0, 0.0), (160.0, 50.0), (30.0, -130.0)))

    assert list(returns.values()) == pytest.approx([0.1, 0.0, 0.0])
    assert list(returns) == [MONDAY + timedelta(days=number) for number in (1, 2, 3)]


def test_weekends_without_a_change_and_days_from_nothing_are_left_out() -> None:
    friday = date(2026, 6, 5)
    still = days((100.0, 0.0), (100.0, 0.0), (101.0, 0.0), (101.0, 0.0), start=friday)

    assert list(daily_returns(still).values()) == pytest.approx([0.01, 0.0])
    assert daily_returns(days((0.0, 0.0), (50.0, 50.0))) == {}


def test_accounts_are_added_up_on_the_days_that_all_have() -> None:
    first = days((100.0, 0.0), (100.0, 20.0), (130.0, 5.0))
    second = [days((50.0, 0.0))[0], days((0, 0), (0, 0), (60.0, 0.0))[2]]

    total = added_up([first, second])

    assert [(each.equity, each.transfers) for each in total] == [(150.0, 0.0), (190.0, 25.0)]
    assert added_up([]) == []


def test_value_at_risk_is_the_fifth_percentile_and_shortfall_the_mean_beyond() -> None:
    returns = [number / 1000 for number in range(-50, 51)]  # 101 days, -5 % to 5 %

    tail = tail_risk(returns)

    assert tail is not None
    assert tail.value_at_risk == pytest.approx(0.045)
    assert tail.expected_shortfall == pytest.approx(0.0475)


def test_too_few_days_say_nothing() -> None:
    assert tail_risk([0.01] * 19) is None
    tail = tail_risk([0.01] * 20)
    assert tail is not None
    assert (tail.value_at_risk, tail.expected_shortfall) == (0.0, 0.0)
    assert max_drawdown([]) is None


def test_the_drawdown_is_the_deepest_fall_from_a_peak() -> None:
    assert max_drawdown([0.1, -0.5, 0.2, 1.0]) == pytest.approx(0.5)
    assert max_drawdown([-0.1]) == pytest.approx(0.1)
    assert max_drawdown([0.1, 0.2]) == 0.0


def test_accounts_correlate_over_the_days_that_both_have() -> None:
    rng = np.random.default_rng(3)
    moves = rng.normal(0, 0.01, 40)
    one = {MONDAY + timedelta(days=number): float(move) for number, move in enumerate(moves)}
    against = {day: -move / (1 + move) for day, move in one.items()}  # log returns mirrored
    short = dict(list(one.items())[:19])
    still = dict.fromkeys(one, 0.0)

    matrix = correlation_matrix([one, against, short, still])

    assert matrix[0][:2] == [1.0, pytest.approx(-1.0)]
    assert matrix[1][0] == pytest.approx(-1.0)
    assert [matrix[0][2], matrix[0][3]] == [None, None]


def test_all_pairs_correlate_as_each_does_by_itself() -> None:
    rng = np.random.default_rng(5)
    days = [MONDAY + timedelta(days=number) for number in range(60)]
    series = [
        {day: float(move) for day, move in zip(days, moves, strict=True) if rng.random() < 0.6}
        for moves in rng.normal(0.001, 0.01, (12, 60))
    ]
    series.append(dict.fromkeys(days, 0.0123))
    matrix = correlation_matrix([*series, {}])

    known = 0
    for row, one in enumerate(series):
        for column, other in enumerate(series[:row]):
            common = sorted(one.keys() & other.keys())
            if len(common) < 20 or row == 12:
                assert matrix[row][column] is matrix[column][row] is None
                continue
            first, second = (np.log1p([each[day] for day in common]) for each in (one, other))
            expected = pytest.approx(float(np.corrcoef(first, second)[0, 1]), abs=1e-9)
            assert [matrix[row][column], matrix[column][row]] == [expected, expected]
            known += 1
    assert known > 20
    assert correlation_matrix([]) == []


@given(st.lists(st.floats(-0.2, 0.2), min_size=20, max_size=120))
def test_the_shortfall_is_never_less_than_the_value_at_risk(returns: list[float]) -> None:
    tail = tail_risk(returns)
    drawdown = max_drawdown(returns)

    assert tail is not None
    assert tail.expected_shortfall >= tail.value_at_risk >= 0
    assert drawdown is not None
    assert 0 <= drawdown < 1

"""Correlations of daily returns: aligned by day, and unknown where too few are shared."""

import math
from statistics import correlation

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.core.returns import correlations_of


def closes(changes: list[float], first_day: int = 0) -> dict[int, float]:
    price, found = 1.0, {first_day: 1.0}
    for place, change in enumerate(changes, start=1):
        price *= math.exp(change)
        found[first_day + place] = price
    return found


changes = st.lists(st.floats(-0.05, 0.05), min_size=60, max_size=60)


@settings(max_examples=40, deadline=None)
@given(one=changes, other=changes)
def test_it_is_pearsons_coefficient(one: list[float], other: list[float]) -> None:
    matrix = correlations_of({"A": closes(one), "B": closes(other)}).matrix
    if np.std(one) < 1e-3 or np.std(other) < 1e-3:
        return
    assert matrix[0, 1] == pytest.approx(correlation(one, other), abs=1e-6)
    assert matrix[1, 0] == matrix[0, 1]


@pytest.mark.parametrize(("shared", "is_known"), [(29, False), (30, True), (31, True)])
def test_two_symbols_need_thirty_days_in_common(shared: int, is_known: bool) -> None:
    wave = [math.sin(day) / 100 for day in range(60)]
    short = closes(wave[-shared:], first_day=60 - shared)
    found = correlations_of({"A": closes(wave), "B": short})
    assert bool(np.isnan(found.matrix[0, 1])) == (not is_known)
    assert found.matrix[0, 0] == pytest.approx(1.0)


def test_it_looks_at_the_last_sixty_days_only() -> None:
    old = [math.sin(day) / 100 for day in range(40)]
    new = [math.cos(day) / 100 for day in range(60)]
    found = correlations_of({"A": closes(old + new), "B": closes([-one for one in old] + new)})
    assert found.matrix[0, 1] == pytest.approx(1.0)


def test_a_price_that_stands_still_is_like_nothing() -> None:
    wave = [math.sin(day) / 100 for day in range(60)]
    found = correlations_of({"A": closes(wave), "B": closes([0.0] * 60)})
    assert np.isnan(found.matrix[0, 1])


def test_a_day_that_one_lacks_moves_no_other_day() -> None:
    wave = [math.sin(day) / 100 for day in range(60)]
    gap = closes(wave)
    del gap[30]
    found = correlations_of({"A": closes(wave), "B": gap})
    left_out = [*wave[:29], *wave[30:]]
    other = [*wave[:29], wave[29] + wave[30], *wave[31:]]
    assert found.matrix[0, 1] == pytest.approx(correlation(left_out, other))

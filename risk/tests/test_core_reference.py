"""The vectorised core against a slow and obvious one, for random portfolios."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from risk.core.baselines import advance_peaks, day_starts
from risk.core.latches import decide_latches
from risk.core.results import Evaluation
from risk.core.rule_types import OBJECTIVES
from risk.core.states import PairState
from risk.core.statuses import Status
from risk.tests.core_cases import NOON, columns, evaluated
from risk.tests.core_desks import Desk, desks
from risk.tests.slow_reference import NOT_KNOWN, SlowAccount, slow_pair

# A machine that is busy with something else proves nothing about the rules.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def judged(desk: Desk, state: PairState | None = None) -> Evaluation:
    known = desk.state if state is None else state
    return evaluated(desk.table, known, desk.reading, desk.accepted, desk.around)


def slow_account(desk: Desk, account: int) -> SlowAccount:
    reading = desk.reading
    names = ("balance", "equity", "credit", "margin")
    return SlowAccount(
        terms=desk.accounts[account],
        row={name: float(reading.accounts[account][name]) for name in names},
        positions=[each for each in reading.positions if each["account"] == account],
        orders=[each for each in reading.orders if each["account"] == account],
        others=[
            [each for each in reading.positions if each["account"] == other]
            if desk.accepted[other]
            else None
            for other in range(len(desk.accepted))
            if other != account
        ],
    )


@unhurried
@given(desk=desks())
def test_it_equals_the_slow_reference(desk: Desk) -> None:
    table, state, result = desk.table, desk.state, judged(desk)
    for pair in range(len(table)):
        account = int(table.account_index[pair])
        of_pair = {name: getattr(state, name)[pair] for name in state.__slots__}
        expected = NOT_KNOWN
        if desk.accepted[account]:
            known = slow_account(desk, account)
            expected = slow_pair(table.rule(pair), of_pair, known, desk.around)
        assert result.present[pair] == expected.status, table.rule(pair)
        assert result.left[pair] == pytest.approx(expected.left, abs=1e-6, nan_ok=True)
        assert result.buffer[pair] == pytest.approx(expected.buffer, abs=1e-6, nan_ok=True)
        assert result.status[pair] == (Status.VIOLATED if state.latched[pair] else expected.status)


@unhurried
@given(desk=desks())
def test_it_never_turns_what_is_not_known_into_a_number(desk: Desk) -> None:
    result = judged(desk)
    unread = ~np.array(desk.accepted)[desk.table.account_index]
    for column in (result.value, result.used, result.left, result.buffer):
        assert np.isnan(column[unread]).all()
    unknown = result.present == Status.UNKNOWN
    assert np.array_equal(unknown, np.isnan(result.buffer))
    assert (result.reason[unknown] > 0).all()
    assert np.isfinite(result.buffer[~unknown]).all()
    for rule_type in OBJECTIVES:
        present = result.present[desk.table.slice_of(rule_type)]
        assert np.isin(present, [Status.SAFE, Status.UNKNOWN]).all()


@unhurried
@given(desk=desks(), loss=st.integers(1, 5_000_000).map(lambda amount: amount / 100))
def test_it_never_raises_a_buffer_for_a_greater_loss(desk: Desk, loss: float) -> None:
    poorer = desk.reading.accounts.copy()
    poorer["profit"] -= loss
    poorer["equity"] -= loss
    floating = replace(desk.state, floating=desk.state.floating - loss)
    lost = replace(desk, reading=replace(desk.reading, accounts=poorer), state=floating)
    before, after = judged(desk), judged(lost)
    comparable = ~np.isnan(before.buffer)
    assert np.array_equal(np.isnan(after.buffer), ~comparable)
    assert (after.buffer[comparable] <= before.buffer[comparable] + 1e-12).all()
    assert (after.status >= before.status).all()


@unhurried
@given(desk=desks())
def test_it_changes_nothing_by_evaluating_twice(desk: Desk) -> None:
    table, known = desk.table, columns(desk.reading, desk.accepted)
    days = day_starts(table, NOON)
    once = advance_peaks(table, desk.state, known, desk.reading.deals)
    assert advance_peaks(table, once, known, desk.reading.deals) is once
    first = decide_latches(table, once, judged(desk, once), days, NOON)
    again = judged(desk, first.state)
    second = decide_latches(table, first.state, again, days, NOON)
    assert not len(second.opened)
    assert np.array_equal(first.state.latched, second.state.latched)
    third = judged(desk, second.state)
    for name in again.__slots__:
        assert np.array_equal(getattr(again, name), getattr(third, name), equal_nan=True), name


@unhurried
@given(desk=desks())
def test_it_lowers_no_peak_and_moves_none_by_what_was_not_accepted(desk: Desk) -> None:
    table, state = desk.table, desk.state
    after = advance_peaks(table, state, columns(desk.reading, desk.accepted), desk.reading.deals)
    had = ~np.isnan(state.peak)
    assert (after.peak[had] >= state.peak[had]).all()
    unread = ~np.array(desk.accepted)[table.account_index]
    assert np.array_equal(after.peak[unread], state.peak[unread], equal_nan=True)

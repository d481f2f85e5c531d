"""The vectorised core against a slow and obvious one, for random portfolios."""

import math
from dataclasses import replace
from operator import itemgetter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.terminals.readings import ReadingBatch
from risk.core.baselines import advance_peaks, day_starts
from risk.core.latches import decide_latches
from risk.core.pairs import AccountTerms, PairTable
from risk.core.parameters import RuleParameters
from risk.core.rule_types import Comparison, DrawdownKind, Lock, Reference, RuleType
from risk.core.states import PairState
from risk.core.statuses import Status
from risk.tests.core_cases import (
    NOON,
    SYMBOLS,
    batch,
    columns,
    evaluated,
    pairs_of,
    rule,
    state_of,
    terms,
)
from risk.tests.slow_reference import NOT_KNOWN, SlowAccount, slow_pair

cents = st.integers(-2_000_000, 20_000_000).map(lambda amount: amount / 100)
near = st.integers(-1_200_000, 1_200_000).map(lambda amount: 100_000 + amount / 100)
maybe_near = st.one_of(near, st.just(math.nan))
fractions = st.integers(1, 30).map(lambda percent: str(percent / 100))
comparisons = st.sampled_from([comparison.value for comparison in Comparison])
amounts = st.one_of(
    st.tuples(st.sampled_from(["fraction_of_initial", "fraction_of_reference"]), fractions),
    st.tuples(st.just("money"), st.integers(1, 20_000).map(str)),
)

RULE_TYPES = [
    RuleType.MAX_DAILY_LOSS,
    RuleType.MAX_DRAWDOWN,
    RuleType.MARGIN_LEVEL,
    RuleType.MAX_POSITION_SIZE,
    RuleType.POSITION_LIMIT,
    RuleType.MAX_LEVERAGE,
]


@st.composite
def rules(draw: st.DrawFn) -> RuleParameters:
    rule_type = draw(st.sampled_from(RULE_TYPES))
    raw: dict[str, object] = {"caution": 0.3, "critical": draw(st.sampled_from([0.0, 0.1, 0.3]))}
    limit = str(draw(st.integers(1, 12)))
    if rule_type in (RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN):
        raw["amount_kind"], limit = draw(amounts)
        raw["comparison"] = draw(comparisons)
        raw["withdrawals_move_floor"] = draw(st.booleans())
    if rule_type is RuleType.MAX_DAILY_LOSS:
        raw["reference"] = draw(st.sampled_from([reference.value for reference in Reference]))
    elif rule_type is RuleType.MAX_DRAWDOWN:
        raw["kind"] = draw(st.sampled_from([kind.value for kind in DrawdownKind]))
        if raw["kind"] != "static":
            raw["lock"] = draw(st.sampled_from([lock.value for lock in Lock]))
            if raw["lock"] == "at_offset":
                raw["lock_offset"] = draw(st.integers(-500, 500))
    elif rule_type is RuleType.MARGIN_LEVEL:
        limit, raw["comparison"] = str(draw(st.integers(20, 500))), draw(comparisons)
    elif rule_type is RuleType.MAX_POSITION_SIZE:
        raw["symbols"] = draw(st.lists(st.sampled_from([*SYMBOLS, "XAUUSD"]), max_size=2))
    elif rule_type is RuleType.POSITION_LIMIT:
        raw["include_pending"] = draw(st.booleans())
    elif rule_type is RuleType.MAX_LEVERAGE:
        raw["gross"] = draw(st.booleans())
    return rule(rule_type, limit, **raw)


lots = st.integers(1, 500).map(lambda hundredths: hundredths / 100)
account_rows = st.fixed_dictionaries(
    {
        "balance": cents,
        "credit": st.sampled_from([0.0, 500.0]),
        "profit": cents.map(lambda amount: amount / 10),
        "margin": st.sampled_from([0.0, 250.5, 40_000.0]),
    }
)


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[ReadingBatch, list[bool]]:
    accounts = draw(st.lists(account_rows, min_size=1, max_size=5))
    owners = st.integers(0, len(accounts) - 1)
    place = {"account": owners, "symbol": st.integers(0, len(SYMBOLS) - 1), "volume": lots}
    held = draw(
        st.lists(
            st.fixed_dictionaries(place | {"type": st.integers(0, 1), "notional": cents.map(abs)}),
            max_size=12,
        )
    )
    pending = draw(st.lists(st.fixed_dictionaries(place | {"type": st.integers(0, 8)}), max_size=6))
    accepted = draw(st.lists(st.booleans(), min_size=len(accounts), max_size=len(accounts)))
    held.sort(key=itemgetter("account"))
    pending.sort(key=itemgetter("account"))
    return batch(accounts, held, pending), accepted


Desk = tuple[PairTable, list[AccountTerms], PairState, ReadingBatch, list[bool]]


@st.composite
def desks(draw: st.DrawFn) -> Desk:
    reading, accepted = draw(portfolios())
    accounts = [
        terms(draw(st.sampled_from([100_000.0, 25_000.0, math.nan, 0.0]))) for _ in accepted
    ]
    table = pairs_of(draw(st.lists(rules(), min_size=1, max_size=8)), accounts)
    size = len(table)

    def column(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=size, max_size=size))

    state = state_of(
        table,
        day_balance=column(maybe_near),
        day_equity=column(maybe_near),
        day_deposits=column(st.sampled_from([0.0, 1_000.0])),
        day_withdrawals=column(st.sampled_from([0.0, -700.0])),
        deposits=column(st.sampled_from([0.0, 1_000.0])),
        withdrawals=column(st.sampled_from([0.0, -700.0])),
        peak=column(maybe_near),
    )
    latched = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    state = replace(state, latched=np.array(latched), latched_at=np.where(latched, NOON, np.nan))
    return table, accounts, state, reading, accepted


@given(desk=desks())
def test_it_equals_the_slow_reference(desk: Desk) -> None:
    table, accounts, state, reading, accepted = desk
    result = evaluated(table, state, reading, accepted)
    for pair in range(len(table)):
        account = int(table.account_index[pair])
        names = ("equity", "credit", "margin")
        of_account = SlowAccount(
            terms=accounts[account],
            row={name: float(reading.accounts[account][name]) for name in names},
            positions=[each for each in reading.positions if each["account"] == account],
            orders=[each for each in reading.orders if each["account"] == account],
        )
        of_pair = {name: getattr(state, name)[pair] for name in state.__slots__}
        expected = NOT_KNOWN
        if accepted[account]:
            expected = slow_pair(table.rule(pair), of_pair, of_account)
        assert result.present[pair] == expected.status, table.rule(pair)
        assert result.left[pair] == pytest.approx(expected.left, abs=1e-7, nan_ok=True)
        assert result.buffer[pair] == pytest.approx(expected.buffer, abs=1e-9, nan_ok=True)
        assert result.status[pair] == (Status.VIOLATED if state.latched[pair] else expected.status)


@given(desk=desks())
def test_it_never_turns_what_is_not_known_into_a_number(desk: Desk) -> None:
    table, _, state, reading, accepted = desk
    result = evaluated(table, state, reading, accepted)
    unread = ~np.array(accepted)[table.account_index]
    for column in (result.value, result.used, result.left, result.buffer):
        assert np.isnan(column[unread]).all()
    unknown = result.present == Status.UNKNOWN
    assert np.array_equal(unknown, np.isnan(result.buffer))
    assert (result.reason[unknown] > 0).all()
    assert np.isfinite(result.buffer[~unknown]).all()


@given(desk=desks(), loss=st.integers(1, 5_000_000).map(lambda amount: amount / 100))
def test_it_never_raises_a_buffer_for_a_greater_loss(desk: Desk, loss: float) -> None:
    table, _, state, reading, accepted = desk
    poorer = reading.accounts.copy()
    poorer["profit"] -= loss
    poorer["equity"] -= loss
    before = evaluated(table, state, reading, accepted)
    after = evaluated(table, state, replace(reading, accounts=poorer), accepted)
    comparable = ~np.isnan(before.buffer)
    assert np.array_equal(np.isnan(after.buffer), ~comparable)
    assert (after.buffer[comparable] <= before.buffer[comparable] + 1e-12).all()
    assert (after.status >= before.status).all()


@given(desk=desks())
def test_it_changes_nothing_by_evaluating_twice(desk: Desk) -> None:
    table, _, state, reading, accepted = desk
    known = columns(reading, accepted)
    days = day_starts(table, NOON)
    once = advance_peaks(table, state, known, reading.deals)
    assert advance_peaks(table, once, known, reading.deals) is once
    first = decide_latches(table, once, evaluated(table, once, reading, accepted), days, NOON)
    again = evaluated(table, first.state, reading, accepted)
    second = decide_latches(table, first.state, again, days, NOON)
    assert not len(second.opened)
    assert np.array_equal(first.state.latched, second.state.latched)
    third = evaluated(table, second.state, reading, accepted)
    for name in again.__slots__:
        assert np.array_equal(getattr(again, name), getattr(third, name), equal_nan=True), name


@given(desk=desks())
def test_it_lowers_no_peak_and_moves_none_by_what_was_not_accepted(desk: Desk) -> None:
    table, _, state, reading, accepted = desk
    after = advance_peaks(table, state, columns(reading, accepted), reading.deals)
    had = ~np.isnan(state.peak)
    assert (after.peak[had] >= state.peak[had]).all()
    unread = ~np.array(accepted)[table.account_index]
    assert np.array_equal(after.peak[unread], state.peak[unread], equal_nan=True)

"""Days that begin and peaks that rise: the baselines, moved by accepted readings only."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from accounts.core.zones import broker_zone, next_reset, trading_day_start
from accounts.terminals.readings import Rows
from risk.core.account_columns import AccountColumns
from risk.core.arrays import Codes, Flags, Floats, Integers
from risk.core.pairs import DRAWDOWN_CODE, NO_CLOCK, Clock, PairTable
from risk.core.rule_types import DrawdownKind, RuleType
from risk.core.states import PairState
from risk.core.strategies import own_balance, own_equity
from risk.core.transfers import are_transfers, broker_msc, deal_amounts, moves_since

# A reading this soon after a reset is taken as the reading of the reset: it is not stale yet.
LIVE_SECONDS = 2.0

# After a longer absence older ends of days are not looked at: more would be no absence.
_MOST_MISSED_RESETS = 400

_END_OF_DAY = DRAWDOWN_CODE[DrawdownKind.TRAILING_END_OF_DAY]
_CLOSED = DRAWDOWN_CODE[DrawdownKind.TRAILING_CLOSED_BALANCE]
_INTRADAY = DRAWDOWN_CODE[DrawdownKind.TRAILING_INTRADAY_EQUITY]


@dataclass(frozen=True, slots=True)
class DayStarts:
    """The last and the next reset of each clock of a table (UTC epoch seconds).

    Good until `valid_until`, the first of the next ones.
    """

    starts: Floats
    ends: Floats
    valid_until: float


@dataclass(frozen=True, slots=True)
class DayRoll:
    """What a roll did, in pair numbers of the table.

    `rolled` began a new day. `needs_equity` did so too late to have seen the equity at the
    reset, `needs_history` can't know the balance then without more deals: both are unknown
    until `fill_days`. A pair stays in `needs_history` until then.
    """

    state: PairState
    rolled: Integers
    needs_equity: Integers
    needs_history: Integers


@dataclass(frozen=True, slots=True)
class DayValues:
    """The start of a day as worked out afterwards; one element per pair, NaN is not known."""

    started_at: Floats
    balance: Floats
    equity: Floats
    deposits: Floats
    withdrawals: Floats
    reconstructed: Flags


def day_starts(table: PairTable, moment: float) -> DayStarts:
    """Find the reset of each clock that is the last at `moment` (UTC epoch seconds)."""
    now = datetime.fromtimestamp(moment, UTC)
    starts, ends = [], []
    for clock in table.clocks:
        zone = broker_zone(clock.zone)
        starts.append(trading_day_start(now, clock.reset_time, zone).timestamp())
        ends.append(next_reset(now, clock.reset_time, zone).timestamp())
    return DayStarts(
        starts=np.array(starts, dtype=np.float64),
        ends=np.array(ends, dtype=np.float64),
        valid_until=min(ends, default=np.inf),
    )


def roll_days(
    table: PairTable,
    state: PairState,
    accounts: AccountColumns,
    deals: Rows,
    days: DayStarts,
    read_at: float | Floats,
    last_read_at: Floats,
) -> DayRoll:
    """Begin a new day for the pairs of known accounts that have passed their reset.

    `read_at` is when the readings were taken (UTC epoch seconds; one for all, or per account) and
    `last_read_at`, per account, when the last accepted one before was (NaN: never): `deals` must
    hold all deals since. A reading of before the reset begins no day, and ends the old one: until
    the next reading the pair is not known, lest yesterday's loss violates today.
    Call `add_transfers` with the same deals first. The balance at the reset is exact: the
    present one less the deals since. The equity is the present one less the transfers since
    when the reading follows the reset at once, otherwise it is not known.

    For `needs_history`, call it again with the accounts' deals since the reset (since
    `started_at` for an end-of-day maximum loss) and -inf as their `last_read_at`.
    """
    due = _due_pairs(table, state, accounts, days)
    if not len(due):
        return DayRoll(state, due, due, due)
    read_at = np.broadcast_to(np.asarray(read_at, dtype=np.float64), len(accounts))
    seen = read_at[table.account_index[due]] >= days.starts[table.clock_index[due]]
    state, due = _without_day(state, due[~seen]), due[seen]
    reset = days.starts[table.clock_index[due]]
    end_of_day = table.drawdown_kind[due] == _END_OF_DAY
    # A rule that began after the reset has no peak to look for there.
    covered = (last_read_at[table.account_index[due]] <= reset) | (
        end_of_day & (state.started_at[due] >= reset)
    )
    missing, pairs, reset = due[~covered], due[covered], reset[covered]
    state = _raise_end_of_day_peaks(
        table, state, accounts, deals, pairs[end_of_day[covered]], days, last_read_at
    )
    index = table.account_index[pairs]
    moves = moves_since(table, pairs, reset, deals)
    transfers = moves.deposits + moves.withdrawals
    live = read_at[index] - reset <= LIVE_SECONDS
    exact = last_read_at[index] <= reset
    state = fill_days(
        state,
        pairs,
        DayValues(
            started_at=reset,
            balance=np.where(exact, accounts.balance[index] - transfers - moves.result, np.nan),
            equity=np.where(live, accounts.own_equity[index] - transfers, np.nan),
            deposits=moves.deposits,
            withdrawals=moves.withdrawals,
            reconstructed=np.zeros(len(pairs), dtype=np.bool_),
        ),
    )
    return DayRoll(
        state=_without_day(state, missing),
        rolled=pairs,
        needs_equity=pairs[~live & table.uses_equity[pairs]],
        needs_history=missing,
    )


def fill_days(state: PairState, pairs: Integers, day: DayValues) -> PairState:
    """Set the day's values of these pairs."""
    if not len(pairs):
        return state
    return replace(
        state,
        day_started_at=_placed(state.day_started_at, pairs, day.started_at),
        day_balance=_placed(state.day_balance, pairs, day.balance),
        day_equity=_placed(state.day_equity, pairs, day.equity),
        day_deposits=_placed(state.day_deposits, pairs, day.deposits),
        day_withdrawals=_placed(state.day_withdrawals, pairs, day.withdrawals),
        day_reconstructed=_placed_flags(state.day_reconstructed, pairs, day.reconstructed),
    )


def advance_peaks(
    table: PairTable, state: PairState, accounts: AccountColumns, deals: Rows
) -> PairState:
    """Raise the peaks of trailing maximum losses to what this reading shows.

    Peaks leave transfers out, so `add_transfers` comes first. A peak that does not exist yet
    begins at the initial balance, or at the present value where that is higher or alone
    known. Readings that were not accepted move nothing.
    """
    part = table.slice_of(RuleType.MAX_DRAWDOWN)
    kind = table.drawdown_kind[part]
    peak = state.peak[part]
    transfers = state.deposits[part] + state.withdrawals[part]
    balance = own_balance(table, state, accounts, part) - transfers
    balance = balance + _risen_between(table, state, part, deals, kind)
    equity = own_equity(table, state, accounts, part) - transfers
    present = np.where(kind == _INTRADAY, equity, balance)
    first = np.isnan(peak) & ~np.isnan(balance)
    beginning = np.fmax(table.initial_balance[part], present)
    moving = (kind == _CLOSED) | (kind == _INTRADAY)
    risen = np.where(moving, np.fmax(peak, present), peak)
    peaks = np.where(first & (kind > 0), beginning, np.where(np.isnan(peak), np.nan, risen))
    if np.array_equal(peaks, peak, equal_nan=True):
        return state
    whole = state.peak.copy()
    whole[part] = peaks
    return replace(state, peak=whole)


def _due_pairs(
    table: PairTable, state: PairState, accounts: AccountColumns, days: DayStarts
) -> Integers:
    dated = np.flatnonzero((table.clock_index != NO_CLOCK) & ~table.counted)
    reset = days.starts[table.clock_index[dated]]
    begun = state.day_started_at[dated] >= reset
    return dated[~begun & accounts.known[table.account_index[dated]]]


def _without_day(state: PairState, pairs: Integers) -> PairState:
    if not len(pairs):
        return state
    unknown = np.full(len(pairs), np.nan)
    return replace(
        state,
        day_balance=_placed(state.day_balance, pairs, unknown),
        day_equity=_placed(state.day_equity, pairs, unknown),
    )


def _raise_end_of_day_peaks(
    table: PairTable,
    state: PairState,
    accounts: AccountColumns,
    deals: Rows,
    pairs: Integers,
    days: DayStarts,
    last_read_at: Floats,
) -> PairState:
    """Raise end-of-day peaks to the balance at every reset since the last reading."""
    if not len(pairs):
        return state
    peak = state.peak.copy()
    index = table.account_index[pairs]
    balance = accounts.balance[index] - state.deposits[pairs] - state.withdrawals[pairs]
    oldest = np.fmax(state.started_at[pairs], last_read_at[index])
    for number, clock in enumerate(table.clocks):
        of_clock = table.clock_index[pairs] == number
        if not of_clock.any():
            continue
        for reset in _resets_back(
            clock, float(days.starts[number]), float(np.min(oldest[of_clock]))
        ):
            chosen = of_clock & (oldest <= reset)
            some = pairs[chosen]
            moves = moves_since(table, some, np.full(len(some), reset), deals)
            peak[some] = np.fmax(peak[some], balance[chosen] - moves.result)
    return replace(state, peak=peak)


def _resets_back(clock: Clock, last: float, oldest: float) -> list[float]:
    zone = broker_zone(clock.zone)
    resets: list[float] = []
    reset = last
    while reset >= oldest and len(resets) < _MOST_MISSED_RESETS:
        resets.append(reset)
        before = datetime.fromtimestamp(reset - 1, UTC)
        reset = trading_day_start(before, clock.reset_time, zone).timestamp()
    return resets


def _risen_between(
    table: PairTable, state: PairState, part: slice, deals: Rows, kind: Codes
) -> Floats:
    """Return how much higher than now the closed balance stood between the new deals."""
    risen = np.zeros(part.stop - part.start)
    if not len(deals) or not (kind == _CLOSED).any():
        return risen
    account = deals["account"].astype(np.int64)
    won = np.where(are_transfers(deals), 0.0, deal_amounts(deals))
    starts = np.flatnonzero(np.r_[True, account[1:] != account[:-1]])
    counts = np.diff(np.r_[starts, len(deals)])
    running = np.cumsum(won)
    last = np.repeat(running[starts + counts - 1], counts)
    high = np.zeros(table.accounts)
    high[account[starts]] = np.maximum(np.maximum.reduceat(running - last, starts), 0.0)
    oldest = np.full(table.accounts, np.inf)
    oldest[account[starts]] = np.minimum.reduceat(deals["time_msc"], starts)
    index = table.account_index[part]
    rows = np.flatnonzero((kind == _CLOSED) & (high[index] > 0) & ~table.counted[part])
    pairs = rows + part.start
    # Deals of before the rule began tell nothing about its peak.
    inside = oldest[index[rows]] >= broker_msc(table, pairs, state.started_at[pairs])
    risen[rows] = np.where(inside, high[index[rows]], 0.0)
    return risen


def _placed(column: Floats, pairs: Integers, values: Floats) -> Floats:
    column = column.copy()
    column[pairs] = values
    return column


def _placed_flags(column: Flags, pairs: Integers, values: Flags) -> Flags:
    column = column.copy()
    column[pairs] = values
    return column

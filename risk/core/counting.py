"""What is counted from deals, one trading day after the other."""

from dataclasses import replace

import numpy as np

from accounts.terminals.readings import Rows
from risk.core.account_columns import AccountColumns
from risk.core.arrays import Flags, Floats, Integers
from risk.core.baselines import LIVE_SECONDS, DayStarts
from risk.core.deal_times import days_of_deals, instants_of_deals
from risk.core.pairs import DRAWDOWN_CODE, NO_MAGIC, PairTable
from risk.core.rule_types import DrawdownKind
from risk.core.states import PairState
from risk.core.strategies import of_strategies
from risk.core.transfers import DEAL_TYPE_CREDIT, are_transfers, broker_msc, deal_amounts, joined

_TRADE_TYPES = (0, 1)  # DEAL_TYPE_BUY, DEAL_TYPE_SELL
_OPENING_ENTRIES = (0, 2)  # DEAL_ENTRY_IN, DEAL_ENTRY_INOUT
_END_OF_DAY = DRAWDOWN_CODE[DrawdownKind.TRAILING_END_OF_DAY]
_CLOSED = DRAWDOWN_CODE[DrawdownKind.TRAILING_CLOSED_BALANCE]

# Resets are whole seconds; a pair's number goes above them.
_PAIR_SHIFT = 1 << 36

# What a fold over days changes.
FOLDED = (
    "realised",
    "day_started_at",
    "day_balance",
    "day_equity",
    "day_trades",
    "day_profit",
    "day_reconstructed",
    "trading_days",
    "best_day",
    "positive_days",
    "total_profit",
    "last_trade_at",
    "peak",
)


def begin_counting(table: PairTable, state: PairState, pairs: Integers) -> PairState:
    """Let these counted pairs begin with nothing, in the first of all days.

    The days that follow are those of the deals, so the history of the pairs is counted next.
    """
    if not len(pairs):
        return state
    folded = {name: getattr(state, name).copy() for name in FOLDED}
    for column in folded.values():
        column[pairs] = 0
    folded["day_started_at"][pairs] = 0.0
    folded["day_equity"][pairs] = np.nan
    folded["last_trade_at"][pairs] = np.nan
    folded["peak"][pairs] = np.nan
    folded["day_balance"][pairs] = table.initial_balance[pairs]
    return replace(state, **folded)


def count_deals(table: PairTable, state: PairState, deals: Rows) -> PairState:
    """Count new deals in the order of their tickets; how they are batched changes nothing.

    A day ends when a deal of a later day comes. A deal that is told after its day ended belongs to
    the present day. Pairs that have not begun to count leave them out.
    """
    if not len(deals) or not table.counted.any():
        return state
    deals = deals[np.lexsort((deals["ticket"], deals["account"]))]
    pairs = _touched(table, state, deals)
    if not len(pairs):
        return state
    groups = _DayGroups(table, state, pairs, deals)
    if not len(groups.pair):
        return state
    fold = _Fold(table, state)
    for number in range(int(groups.rank.max()) + 1):
        chosen = groups.rank == number
        pair = groups.pair[chosen]
        fold.begin_days(pair, groups.day[chosen])
        fold.add(pair, groups, chosen)
    return fold.state()


def roll_counted_days(
    table: PairTable,
    state: PairState,
    accounts: AccountColumns,
    days: DayStarts,
    read_at: Floats,
) -> tuple[PairState, Flags]:
    """Begin the new day of counted pairs whose reset has passed; count the deals first.

    A day begins with a reading (`read_at`, per account) of after the reset: until then deals of the
    day before may follow. Returns the pairs that wait for that, too; their day is not known.
    """
    waiting = np.zeros(len(table), dtype=np.bool_)
    if not table.counted.any():
        return state, waiting
    counted = np.flatnonzero(table.counted & ~np.isnan(state.day_started_at))
    index = table.account_index[counted]
    reset = days.starts[table.clock_index[counted]]
    due = state.day_started_at[counted] < reset
    seen = accounts.known[index] & (read_at[index] >= reset)
    waiting[counted[due & ~seen]] = True
    rolled = counted[due & seen]
    if len(rolled):
        fold = _Fold(table, state)
        fold.begin_days(rolled, days.starts[table.clock_index[rolled]])
        state = fold.state()
    return _with_day_equities(table, state, accounts, days, read_at), waiting


def _with_day_equities(
    table: PairTable,
    state: PairState,
    accounts: AccountColumns,
    days: DayStarts,
    read_at: Floats,
) -> PairState:
    """Take the strategy's equity at the reset from a reading that follows it at once.

    The first day of a rule is measured from where the strategy stood when the rule began to watch.
    Later, a reset that nobody saw leaves that day's equity unknown.
    """
    lacking = table.uses_equity & np.isnan(state.day_equity) & table.counted
    pairs = np.flatnonzero(lacking & accounts.known[table.account_index])
    if not len(pairs):
        return state
    reset = days.starts[table.clock_index[pairs]]
    after_reset = read_at[table.account_index[pairs]] - reset
    is_live = (after_reset >= 0) & (after_reset <= LIVE_SECONDS)
    is_first = state.started_at[pairs] >= reset
    taken = (state.day_started_at[pairs] == reset) & (is_live | is_first)
    pairs, estimated = pairs[taken], ~is_live[taken]
    if not len(pairs):
        return state
    equity, reconstructed = state.day_equity.copy(), state.day_reconstructed.copy()
    equity[pairs] = table.initial_balance[pairs] + state.realised[pairs] + state.floating[pairs]
    reconstructed[pairs] = estimated
    return replace(state, day_equity=equity, day_reconstructed=reconstructed)


def _touched(table: PairTable, state: PairState, deals: Rows) -> Integers:
    touched = np.zeros(table.accounts, dtype=np.bool_)
    touched[deals["account"]] = True
    begun = ~np.isnan(state.day_started_at)
    return np.flatnonzero(table.counted & begun & touched[table.account_index])


class _DayGroups:
    """New deals added up per pair and trading day, sorted by both.

    `rank` numbers the days of a pair; `high` is the most by which the closed result rose above
    where it stood before the group.
    """

    def __init__(self, table: PairTable, state: PairState, pairs: Integers, deals: Rows) -> None:
        place, row = joined(table.account_index[pairs], deals)
        magic = table.magic[pairs][place]
        counts = (magic == NO_MAGIC) | (deals["magic"][row] == magic)
        counts &= ~(are_transfers(deals) | (deals["type"] == DEAL_TYPE_CREDIT))[row]
        place, row = place[counts], row[counts]
        day = days_of_deals(table, pairs, place, deals["time_msc"][row])
        day = _never_back(place, np.fmax(day, state.day_started_at[pairs][place]))
        starts = np.flatnonzero(
            np.r_[True, (place[1:] != place[:-1]) | (day[1:] != day[:-1])][: len(place)]
        )
        self.pair = pairs[place[starts]]
        self.day = day[starts]
        self.rank = _ranks(place[starts])
        if not len(starts):
            return
        amounts = deal_amounts(deals)[row]
        is_trade = np.isin(deals["type"], _TRADE_TYPES)[row]
        opens = is_trade & np.isin(deals["entry"], _OPENING_ENTRIES)[row]
        began = broker_msc(table, pairs, state.started_at[pairs])[place]
        realised = np.where(deals["time_msc"][row] >= began, amounts, 0.0)
        self.profit = np.add.reduceat(amounts, starts)
        self.trades = np.add.reduceat(opens.astype(np.float64), starts)
        self.realised = np.add.reduceat(realised, starts)
        self.high = _high(realised, starts)
        times = instants_of_deals(table, pairs, place, deals["time_msc"][row])
        self.last_trade_at = np.fmax.reduceat(np.where(is_trade, times, np.nan), starts)


def _high(amounts: Floats, starts: Integers) -> Floats:
    running = np.cumsum(amounts)
    lengths = np.diff(np.r_[starts, len(amounts)])
    before = np.repeat(running[starts] - amounts[starts], lengths)
    return np.maximum(np.maximum.reduceat(running - before, starts), 0.0)


def _ranks(owner: Integers) -> Integers:
    """Number the elements of each run of equal owners."""
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]][: len(owner)])
    lengths = np.diff(np.r_[starts, len(owner)])
    return np.arange(len(owner)) - np.repeat(starts, lengths)


def _never_back(place: Integers, day: Floats) -> Floats:
    """Return the latest day so far of each deal of a pair; `place` ascends."""
    keyed = place * _PAIR_SHIFT + day.astype(np.int64)
    latest = np.maximum.accumulate(keyed) - place * _PAIR_SHIFT
    return latest.astype(np.float64)


class _Fold:
    """Columns of a state that days and deals are added to."""

    def __init__(self, table: PairTable, state: PairState) -> None:
        self._table = table
        self._before = state
        self._columns = {name: getattr(state, name).copy() for name in FOLDED}
        self._strategies = of_strategies(table)

    def state(self) -> PairState:
        return replace(self._before, **self._columns)

    def begin_days(self, pairs: Integers, day: Floats) -> None:
        """End the day of those of the pairs whose day is an earlier one, and begin this one."""
        column = self._columns
        later = day > column["day_started_at"][pairs]
        pairs, day = pairs[later], day[later]
        profit = column["day_profit"][pairs]
        column["trading_days"][pairs] += column["day_trades"][pairs] > 0
        column["best_day"][pairs] = np.maximum(column["best_day"][pairs], profit)
        column["positive_days"][pairs] += np.maximum(profit, 0.0)
        column["day_trades"][pairs] = 0.0
        column["day_profit"][pairs] = 0.0
        column["day_started_at"][pairs] = day
        self._begin_strategy_days(pairs[self._strategies[pairs]])

    def _begin_strategy_days(self, pairs: Integers) -> None:
        if not len(pairs):
            return
        column, table = self._columns, self._table
        balance = table.initial_balance[pairs] + column["realised"][pairs]
        column["day_balance"][pairs] = balance
        column["day_equity"][pairs] = np.nan
        column["day_reconstructed"][pairs] = False
        trailing = table.drawdown_kind[pairs] == _END_OF_DAY
        column["peak"][pairs[trailing]] = np.fmax(
            column["peak"][pairs[trailing]], balance[trailing]
        )

    def add(self, pairs: Integers, groups: _DayGroups, chosen: Flags) -> None:
        """Add one group of deals to each of the pairs."""
        column, table = self._columns, self._table
        closed = table.drawdown_kind[pairs] == _CLOSED
        balance = table.initial_balance[pairs] + column["realised"][pairs] + groups.high[chosen]
        column["peak"][pairs[closed]] = np.fmax(column["peak"][pairs[closed]], balance[closed])
        column["realised"][pairs] += groups.realised[chosen]
        # What was closed before the rule began, but on the same day, counts for that day alone.
        earlier = groups.profit[chosen] - groups.realised[chosen]
        column["day_balance"][pairs] -= np.where(self._strategies[pairs], earlier, 0.0)
        column["day_trades"][pairs] += groups.trades[chosen]
        column["day_profit"][pairs] += groups.profit[chosen]
        column["total_profit"][pairs] += groups.profit[chosen]
        column["last_trade_at"][pairs] = np.fmax(
            column["last_trade_at"][pairs], groups.last_trade_at[chosen]
        )

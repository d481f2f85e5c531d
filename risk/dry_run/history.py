"""What a rule would remember of accounts, from what was recorded of them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from accounts.models import ConnectedAccount, Deal, EquitySnapshot
from accounts.terminals.readings import DEAL_DTYPE, Rows
from risk.core.account_columns import AccountColumns
from risk.core.arrays import Floats, Integers
from risk.core.baselines import DayStarts, DayValues, advance_peaks, fill_days
from risk.core.counting import begin_counting, count_deals, roll_counted_days
from risk.core.pairs import NO_CLOCK, PairTable
from risk.core.states import PairState
from risk.core.strategies import of_strategies, strategy_floating
from risk.core.transfers import MoneyMoves, moves_since
from risk.dry_run.situation import Situation
from risk.models import RuleState
from risk.openers import attributed_magics

_COLUMNS = (
    "ticket", "order", "position", "time_msc", "type", "entry", "reason", "commission", "swap",
    "profit", "fee", "magic",
)  # fmt: skip
# A minute that ended so long before the reset still shows what the account was worth at it.
_SNAPSHOT_AGE = timedelta(minutes=2)


def remembered_state(
    table: PairTable,
    state: PairState,
    accounts: Sequence[ConnectedAccount],
    situation: Situation,
    columns: AccountColumns,
    days: DayStarts,
) -> PairState:
    """Fill in days, peaks and counts from recorded deals, snapshots and what other rules know.

    A rule that is saved now begins the same way. What was not recorded stays unknown.
    """
    dated = table.clock_index != NO_CLOCK
    deals = _recorded_deals(accounts) if dated.any() or table.counted.any() else _no_deals()
    if table.counted.any():
        state = _counted(table, state, situation, columns, days, deals)
    plain = np.flatnonzero(dated & ~table.counted)
    if len(plain):
        state = _with_days(table, state, accounts, columns, days, deals, plain)
    return advance_peaks(table, state, columns, _no_deals())


def _counted(
    table: PairTable,
    state: PairState,
    situation: Situation,
    columns: AccountColumns,
    days: DayStarts,
    deals: Rows,
) -> PairState:
    recorded = np.isin(table.account_index, np.unique(deals["account"]))
    state = begin_counting(table, state, np.flatnonzero(table.counted & recorded))
    state = count_deals(table, state, deals)
    floating = strategy_floating(table, of_strategies(table), situation.batch.positions)
    state = replace(state, floating=floating)
    return roll_counted_days(table, state, columns, days, situation.read_at)[0]


def _with_days(
    table: PairTable,
    state: PairState,
    accounts: Sequence[ConnectedAccount],
    columns: AccountColumns,
    days: DayStarts,
    deals: Rows,
    pairs: Integers,
) -> PairState:
    index = table.account_index[pairs]
    reset = days.starts[table.clock_index[pairs]]
    moves = moves_since(table, pairs, reset, deals)
    # Every account's history begins with a deposit: without a deal it was not recorded.
    has_history = np.isin(index, np.unique(deals["account"]))
    transfers = moves.deposits + moves.withdrawals
    balance = np.where(has_history, columns.balance[index] - transfers - moves.result, np.nan)
    day = DayValues(
        started_at=reset,
        balance=balance,
        equity=_equities(accounts, index, reset, balance),
        deposits=moves.deposits,
        withdrawals=moves.withdrawals,
        reconstructed=np.zeros(len(pairs), dtype=np.bool_),
    )
    return fill_days(state, pairs, _as_other_rules_know(day, accounts, index, moves))


def _equities(
    accounts: Sequence[ConnectedAccount], index: Integers, reset: Floats, balance: Floats
) -> Floats:
    """Return the equity at each reset from the last minute before it, NaN where there is none.

    One query for each moment at which a day began.
    """
    found = np.full(len(index), np.nan)
    for moment in np.unique(reset[~np.isnan(reset)]).tolist():
        places = np.flatnonzero(reset == moment)
        floating = _floating_before(
            [accounts[row] for row in index[places].tolist()], datetime.fromtimestamp(moment, UTC)
        )
        for place in places.tolist():
            account = accounts[int(index[place])]
            found[place] = balance[place] + floating.get(account.pk, np.nan)
    return found


def _floating_before(accounts: Sequence[ConnectedAccount], at: datetime) -> dict[UUID, float]:
    whose = {account.pk: (account.server, account.login) for account in accounts}
    snapshots = EquitySnapshot.objects.filter(
        account__in=whose,
        resolution=EquitySnapshot.Resolution.MINUTE,
        at__lt=at,
        at__gte=at - _SNAPSHOT_AGE,
    )
    return {
        row.account_id: float(row.equity - row.credit - row.balance)
        for row in snapshots.order_by("at")
        if (row.server, row.login) == whose[row.account_id]
    }


def _as_other_rules_know(
    day: DayValues, accounts: Sequence[ConnectedAccount], index: Integers, moves: MoneyMoves
) -> DayValues:
    """Prefer what a rule with the same reset has seen itself."""
    known: dict[tuple[object, float], RuleState] = {}
    rows = RuleState.objects.filter(account__in=accounts, rule__magic=None)
    for row in rows.exclude(day_started_at=None).select_related("account"):
        is_its = (row.server, row.login) == (row.account.server, row.account.login)
        if is_its and row.day_balance is not None and row.day_started_at is not None:
            key = row.account_id, row.day_started_at.timestamp()
            if key not in known or row.day_equity is not None:
                known[key] = row
    balance, equity = day.balance.copy(), day.equity.copy()
    deposits, withdrawals = moves.deposits.copy(), moves.withdrawals.copy()
    reconstructed = day.reconstructed.copy()
    for place, (row_number, moment) in enumerate(
        zip(index.tolist(), day.started_at.tolist(), strict=True)
    ):
        seen = known.get((accounts[row_number].pk, moment))
        if seen is None or seen.day_balance is None:
            continue
        balance[place] = seen.day_balance
        deposits[place], withdrawals[place] = seen.day_deposits, seen.day_withdrawals
        if seen.day_equity is not None:
            equity[place], reconstructed[place] = seen.day_equity, seen.is_reconstructed
    return DayValues(day.started_at, balance, equity, deposits, withdrawals, reconstructed)


def _recorded_deals(accounts: Sequence[ConnectedAccount]) -> Rows:
    """Return all recorded deals of the accounts' logins, by account and ticket; one query."""
    whose = {account.pk: (account.server, account.login) for account in accounts}
    values: dict[UUID, list[tuple[Any, ...]]] = {pk: [] for pk in whose}
    stored = Deal.objects.filter(account__in=whose).order_by("ticket")
    for pk, server, login, *row in stored.values_list("account", "server", "login", *_COLUMNS):
        if (server, login) == whose[pk]:
            values[pk].append(tuple(row))
    found = [_no_deals()]
    for number, account in enumerate(accounts):
        rows = values[account.pk]
        deals = np.zeros(len(rows), DEAL_DTYPE)
        for place, name in enumerate(_COLUMNS):
            deals[name] = [row[place] for row in rows]
        deals["account"] = number
        if len(deals):
            deals["magic"] = attributed_magics(deals, {})
        found.append(deals)
    return np.concatenate(found)


def _no_deals() -> Rows:
    return np.zeros(0, DEAL_DTYPE)

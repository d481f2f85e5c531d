"""The baselines of the loss rules as the database has them; they are written in `state_saving`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import numpy as np
from django.db.models import F, Max

from risk.core.arrays import Flags, Floats, Integers
from risk.core.rule_types import ACTIVITY_RULES, LOSS_RULES
from risk.core.states import PairState, new_state
from risk.desk import AccountFacts, Desk
from risk.latch_store import load_latches
from risk.models import RuleState
from risk.new_references import take_references

MONEY_COLUMNS = (
    "deposits",
    "withdrawals",
    "peak",
    "day_balance",
    "day_equity",
    "day_deposits",
    "day_withdrawals",
    "realised",
    "day_profit",
    "best_day",
    "positive_days",
    "total_profit",
)
COUNT_COLUMNS = ("day_trades", "trading_days")
_REMEMBERING = LOSS_RULES | ACTIVITY_RULES
# SQLite allows 32,766 variables in a statement, a row of RuleState takes 24.
_INSERT_ROWS = 1200
_QUERY_IDS = 1000

Key = tuple[UUID, UUID]  # rule, account


@dataclass(frozen=True, slots=True)
class StoredState:
    """The state of the pairs as the database has it, with the breach of each latched pair.

    `row_ids` is the database row of each pair, 0 where a pair keeps no baselines. Per account,
    `last_deal` is the newest deal that the baselines contain (0: none), `stored_at` when they were
    stored (UTC epoch seconds), and `begun_anew` tells that one of its rules starts again.
    """

    state: PairState
    breach_ids: Mapping[int, UUID]
    row_ids: Integers
    last_deal: Integers
    stored_at: Floats
    begun_anew: Flags


def load_state(desk: Desk, now: datetime, counted: Integers) -> StoredState:
    """Read baselines and latches; a pair that has none yet begins now.

    So does a rule that has missed deals, because it was switched off or taken from the account, and
    every rule of an account that was pointed at another login. A new reference that somebody asked
    for is taken. `counted` is the newest deal of each account that this process has counted, 0
    where it has counted none.
    """
    rows = _rows_of_pairs(desk, now, counted)
    table = desk.pairs
    count = len(table)
    state = new_state(count, now.timestamp())
    row_ids = np.zeros(count, dtype=np.int64)
    deals = np.zeros(count, dtype=np.int64)
    stored_at = np.full(table.accounts, np.nan)
    swapped = np.zeros(count, dtype=np.bool_)
    for pair, row in enumerate(rows):
        if row is None:
            continue
        account = int(table.account_index[pair])
        row_ids[pair] = row.pk
        swapped[pair] = not _is_of(row, desk.accounts[account])
        if not swapped[pair]:
            deals[pair] = row.last_deal
            stored_at[account] = np.fmax(stored_at[account], row.updated_at.timestamp())
            _place(state, pair, row)
    last_deal = counted.copy()
    np.maximum.at(last_deal, table.account_index, deals)
    behind = (row_ids > 0) & (swapped | (deals < last_deal[table.account_index]))
    state = _restarted(state, behind, now.timestamp())
    begun_anew = np.zeros(table.accounts, dtype=np.bool_)
    begun_anew[table.account_index[behind]] = True
    take_references(desk, state, rows, now)
    latches = load_latches(desk, state)
    return StoredState(latches.state, latches.breach_ids, row_ids, last_deal, stored_at, begun_anew)


def _rows_of_pairs(desk: Desk, now: datetime, counted: Integers) -> list[RuleState | None]:
    """Return the row of each pair, created where one that remembers meets an account first.

    A pair of another rule has none.
    """
    keys = desk.pair_keys()
    stored = _existing(desk)
    missing = _missing(desk, keys, stored, now, counted)
    if missing:
        RuleState.objects.bulk_create(missing, batch_size=_INSERT_ROWS, ignore_conflicts=True)
        stored = _existing(desk)
    return [stored.get(key) for key in keys]


def _is_of(row: RuleState, account: AccountFacts | None) -> bool:
    return account is not None and (row.server, row.login) == (account.server, account.login)


def stored_cursors(account_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the newest deal that the baselines of each account contain."""
    cursors: dict[UUID, int] = {}
    for start in range(0, len(account_ids), _QUERY_IDS):
        rows = RuleState.objects.filter(
            account__in=account_ids[start : start + _QUERY_IDS],
            server=F("account__server"),
            login=F("account__login"),
        )
        cursors.update(rows.values_list("account_id").annotate(newest=Max("last_deal")))
    return cursors


def _place(state: PairState, pair: int, row: RuleState) -> None:
    state.started_at[pair] = row.started_at.timestamp()
    state.day_started_at[pair] = _epoch(row.day_started_at)
    state.day_reconstructed[pair] = row.is_reconstructed
    state.last_trade_at[pair] = _epoch(row.last_trade_at)
    for name in (*MONEY_COLUMNS, *COUNT_COLUMNS):
        value = getattr(row, name)
        getattr(state, name)[pair] = np.nan if value is None else value


def _restarted(state: PairState, pairs: Flags, started_at: float) -> PairState:
    if not pairs.any():
        return state
    fresh = new_state(len(state), started_at)
    names = (
        "started_at",
        "day_started_at",
        "day_reconstructed",
        "last_trade_at",
        *MONEY_COLUMNS,
        *COUNT_COLUMNS,
    )
    return replace(
        state,
        **{name: np.where(pairs, getattr(fresh, name), getattr(state, name)) for name in names},
    )


def changed_pairs(before: PairState, after: PairState) -> Integers:
    """Find the pairs of which something that is stored differs between two states."""
    if before is after:
        return np.empty(0, dtype=np.int64)
    changed = before.day_reconstructed != after.day_reconstructed
    for name in (*MONEY_COLUMNS, *COUNT_COLUMNS, "day_started_at", "last_trade_at"):
        old, new = getattr(before, name), getattr(after, name)
        if old is not new:
            changed |= (old != new) & ~(np.isnan(old) & np.isnan(new))
    return np.flatnonzero(changed)


def _existing(desk: Desk) -> dict[Key, RuleState]:
    users = {rule.user_id for rule in desk.rules}
    rows = RuleState.objects.filter(rule__user__in=users)
    return {(row.rule_id, row.account_id): row for row in rows}


def _missing(
    desk: Desk,
    keys: Sequence[Key],
    stored: Mapping[Key, RuleState],
    now: datetime,
    counted: Integers,
) -> list[RuleState]:
    """Build rows for the rules that meet an account for the first time and remember something.

    Such a row begins at the newest deal that the account's other rules contain, so that the
    baselines of an account always stand at the same deal.
    """
    newest = dict(zip(range(len(desk.accounts)), counted.tolist(), strict=True))
    for row in stored.values():
        place = desk.account_index.get(row.account_id)
        if place is not None and _is_of(row, desk.accounts[place]):
            newest[place] = max(newest[place], row.last_deal)
    places = desk.pairs.account_index.tolist()
    return [
        RuleState(
            rule_id=key[0],
            account_id=account.id,
            server=account.server,
            login=account.login,
            started_at=now,
            last_deal=newest[place],
            updated_at=now,
        )
        for pair, (key, place) in enumerate(zip(keys, places, strict=True))
        if (account := desk.accounts[place]) is not None
        and key not in stored
        and desk.pairs.rule_type(pair) in _REMEMBERING
    ]


def _epoch(moment: datetime | None) -> float:
    return float("nan") if moment is None else moment.timestamp()

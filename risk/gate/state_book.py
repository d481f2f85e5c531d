"""The gate's book of one account, taken from the hot state."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from accounts.core.kinds import MarginMode
from accounts.hot_state import AccountState
from accounts.models import ConnectedAccount
from accounts.models.connection import AccountConnection, ConnectionState
from accounts.terminals.readings import ORDER_DTYPE, POSITION_DTYPE, STALE_AFTER_SECONDS, Rows
from risk.core.arrays import Flags, Floats
from risk.core.gate.book import AccountSheet, Book, PairStanding, RuleLabel
from risk.core.pairs import AccountTerms, Clock, PairTable, build_pairs
from risk.core.rule_types import Action
from risk.core.statuses import Status
from risk.core.surroundings import Surroundings
from risk.models import AccountLock
from risk.rule_facts import RuleFacts


@dataclass(frozen=True, slots=True)
class StateOfAccount:
    """What the web knows of one account; `state` is None when no tick has written it."""

    account: ConnectedAccount
    state: AccountState | None
    rules: Sequence[RuleFacts]
    lock: AccountLock | None
    connection: AccountConnection | None
    surroundings: Surroundings


def state_book(known: StateOfAccount, now: datetime) -> Book:
    """Lay out what is known of one account, as row 0, as it is to be judged at `now`."""
    account, state = known.account, known.state
    table = build_pairs(
        [rule.parameters for rule in known.rules],
        [
            AccountTerms(
                initial_balance=float(account.initial_balance),
                broker_zone=account.broker_time_zone,
                trading_day=Clock(account.day_reset_time, account.day_reset_zone),
            )
        ],
        np.arange(len(known.rules)),
        np.zeros(len(known.rules), dtype=np.int64),
    )
    return Book(
        accounts=_sheet(known, now),
        table=table,
        labels=tuple(RuleLabel(rule.id, rule.name, Action(rule.action)) for rule in known.rules),
        standing=_standing(known, table),
        positions=_alone(state.positions if state else np.zeros(0, POSITION_DTYPE)),
        orders=_alone(state.orders if state else np.zeros(0, ORDER_DTYPE)),
        symbols=state.tables.symbols if state else (),
        surroundings=known.surroundings,
        is_preview=True,
    )


def _sheet(known: StateOfAccount, now: datetime) -> AccountSheet:
    account, state, lock = known.account, known.state, known.lock
    read_at = float(state.account["read_at"]) if state is not None else math.nan
    age = math.inf if math.isnan(read_at) else max(now.timestamp() - read_at, 0.0)
    is_known = state is not None and age <= STALE_AFTER_SECONDS
    connected = known.connection is not None
    if known.connection is not None:
        connected = known.connection.state == ConnectionState.CONNECTED

    def number(name: str) -> Floats:
        value = float(state.account[name]) if state is not None and is_known else math.nan
        return np.array([value])

    def flag(name: str) -> Flags:
        return np.array([bool(state.account[name]) if state is not None else False])

    mode = int(state.account["margin_mode"]) if state is not None else MarginMode.HEDGING
    return AccountSheet(
        names=(account.name,),
        servers=(account.server,),
        logins=np.array([account.login], dtype=np.int64),
        currencies=(account.currency,),
        digits=np.array([state.account["currency_digits"] if state else 2], dtype=np.int8),
        known=np.array([is_known]),
        age_seconds=np.array([age]),
        is_connected=np.array([connected]),
        # A tick writes no reading that is another login's.
        is_expected=np.array([True]),
        trade_allowed=flag("trade_allowed"),
        algo_allowed=flag("algo_trading_allowed"),
        is_netting=np.array([mode != MarginMode.HEDGING]),
        leverage=np.array([float(state.account["leverage"]) if state is not None else 0.0]),
        balance=number("balance"),
        equity=number("equity"),
        margin=number("margin"),
        margin_free=number("margin_free"),
        lock_reasons={} if lock is None else {0: lock.reason},
    )


def _standing(known: StateOfAccount, table: PairTable) -> PairStanding:
    """Bring the packed rows of the rules into the order of the table; NaN for one without a row."""
    stored = {}
    if known.state is not None:
        names = known.state.tables.rules
        stored = {names[int(row["rule"])]: row for row in known.state.rules}
    listed = [stored.get(str(known.rules[int(rule)].id)) for rule in table.rule_index]

    def column(name: str, default: float) -> npt.NDArray[Any]:
        return np.array([default if row is None else row[name] for row in listed])

    return PairStanding(
        status=column("status", Status.UNKNOWN).astype(np.int8),
        reason=column("reason", 0).astype(np.int8),
        value=column("value", math.nan).astype(np.float64),
        limit=column("limit", math.nan).astype(np.float64),
        left=column("left", math.nan).astype(np.float64),
        latched=column("latched", False).astype(np.bool_),
        acknowledged=column("acknowledged", False).astype(np.bool_),
    )


def _alone(rows: Rows) -> Rows:
    """Return the rows as those of the only account."""
    own = rows.copy()
    own["account"] = 0
    return own

"""Small portfolios for the tests of the risk core."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from accounts.terminals.readings import (
    ACCOUNT_DTYPE,
    DEAL_DTYPE,
    ORDER_DTYPE,
    POSITION_DTYPE,
    PRICE_DTYPE,
    ReadingBatch,
    Rows,
)
from risk.core.account_columns import AccountColumns, account_columns
from risk.core.evaluation import Evaluation, evaluate
from risk.core.exposures import exposures_of
from risk.core.pairs import AccountTerms, Clock, PairTable, build_pairs
from risk.core.parameters import RuleParameters, parse_parameters
from risk.core.rule_types import RuleType
from risk.core.states import PairState, new_state
from risk.core.surroundings import Surroundings

PRAGUE_MIDNIGHT = Clock(time(0, 0), "Europe/Prague")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
SYMBOLS = ("EURUSD", "GBPUSD", "USDCAD")
BUY, SELL = 0, 1
IN, OUT, INOUT = 0, 1, 2
BALANCE, CREDIT, CORRECTION, BONUS, COMMISSION = 2, 3, 5, 6, 7

CURRENCIES = {"EURUSD": ("EUR", "USD"), "GBPUSD": ("GBP", "USD"), "USDCAD": ("USD", "CAD")}

# Noon, with everything known about the symbols but how much alike they move.
AROUND = Surroundings(
    moment=NOON, currencies={"Demo": CURRENCIES}, users=np.zeros(100, dtype=np.int64)
)

Row = Mapping[str, object]


def rule(rule_type: RuleType, limit: str, **raw: object) -> RuleParameters:
    return parse_parameters(rule_type, Decimal(limit), raw)


def terms(
    initial: float = 100_000.0,
    zone: str = "America/New_York+7h",
    trading_day: Clock = PRAGUE_MIDNIGHT,
) -> AccountTerms:
    return AccountTerms(initial, zone, trading_day)


def rows(dtype: np.dtype[np.void], given: Sequence[Row]) -> Rows:
    table = np.zeros(len(given), dtype=dtype)
    for number, row in enumerate(given):
        for name, value in row.items():
            table[name][number] = value
    return table


def batch(
    accounts: Sequence[Row],
    positions: Sequence[Row] = (),
    orders: Sequence[Row] = (),
    deals: Sequence[Row] = (),
    taken_at: float = NOON,
) -> ReadingBatch:
    """Build a batch; an account's equity follows from its balance, credit and profit."""
    full = rows(ACCOUNT_DTYPE, accounts)
    for number, row in enumerate(accounts):
        if "equity" not in row:
            parts = full[number]
            full["equity"][number] = parts["balance"] + parts["credit"] + parts["profit"]
    return ReadingBatch(
        taken_at=taken_at,
        accounts=full,
        positions=rows(POSITION_DTYPE, positions),
        orders=rows(ORDER_DTYPE, orders),
        deals=rows(DEAL_DTYPE, deals),
        prices=rows(PRICE_DTYPE, ()),
        symbols=SYMBOLS,
        servers=("Demo",),
        currencies=("USD",),
    )


def columns(reading: ReadingBatch, accepted: Sequence[bool] | None = None) -> AccountColumns:
    flags = np.ones(len(reading.accounts), dtype=np.bool_) if accepted is None else accepted
    return account_columns(reading, np.asarray(flags, dtype=np.bool_))


def pairs_of(
    rules: Sequence[RuleParameters], accounts: Sequence[AccountTerms] = (terms(),)
) -> PairTable:
    """Pair every rule with every account."""
    rule_index = np.repeat(np.arange(len(rules)), len(accounts))
    account_index = np.tile(np.arange(len(accounts)), len(rules))
    return build_pairs(rules, accounts, rule_index, account_index)


def state_of(table: PairTable, **columns_of_state: npt.ArrayLike) -> PairState:
    """Build a state in which the given columns have these values (one, or one per pair)."""
    state = new_state(len(table), NOON - 30 * 86_400)
    changes = {
        name: np.array(np.broadcast_to(value, len(table)), dtype=getattr(state, name).dtype)
        for name, value in columns_of_state.items()
    }
    return replace(state, **changes)


def evaluated(
    table: PairTable,
    state: PairState,
    reading: ReadingBatch,
    accepted: Sequence[bool] | None = None,
    surroundings: Surroundings = AROUND,
) -> Evaluation:
    return evaluate(table, state, columns(reading, accepted), exposures_of(reading), surroundings)


def at(year: int, month: int, day: int, *clock: int) -> float:
    """Return the UTC epoch of a moment."""
    hour, minute, second = (*clock, 0, 0, 0)[:3]
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()

"""Small books and orders for the tests of the gate."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from accounts.symbol_terms import SymbolTerms, SymbolTradeMode
from accounts.terminals.readings import ReadingBatch
from risk.core.evaluation import evaluate
from risk.core.exposures import exposures_of
from risk.core.gate.book import AccountSheet, Book, InFlight, Intent, PairStanding, RuleLabel
from risk.core.gate.deciding import decide
from risk.core.gate.verdicts import Check, GateDecision
from risk.core.parameters import RuleParameters
from risk.core.rule_types import Action
from risk.core.states import PairState
from risk.core.surroundings import Surroundings
from risk.tests.core_cases import NOON, batch, columns, pairs_of, state_of, terms

CURRENCIES = {"EURUSD": ("EUR", "USD"), "GBPUSD": ("GBP", "USD"), "USDCAD": ("USD", "CAD")}
BID, ASK = 1.1000, 1.1002

EURUSD = SymbolTerms(
    name="EURUSD",
    digits=5,
    point=0.00001,
    contract_size=100_000.0,
    tick_size=0.00001,
    tick_value=1.0,
    tick_value_profit=1.0,
    tick_value_loss=1.0,
    volume_min=0.01,
    volume_max=50.0,
    volume_step=0.01,
    volume_limit=0.0,
    filling_mode=3,
    expiration_mode=15,
    order_mode=127,
    execution_mode=2,
    trade_mode=SymbolTradeMode.FULL,
    stops_level=0,
    freeze_level=0,
    margin_initial=0.0,
    margin_hedged=100_000.0,
    margin_hedged_use_leg=False,
    calc_mode=0,
    currency_base="EUR",
    currency_profit="USD",
    currency_margin="EUR",
    bid=BID,
    ask=ASK,
    read_at=NOON,
)


def account_row(**fields: object) -> dict[str, object]:
    """Return an account that may trade: 100,000 USD, flat, at 1:100."""
    return {
        "balance": 100_000.0,
        "leverage": 100,
        "margin_free": 100_000.0,
        "margin_mode": 2,
        "trade_allowed": True,
        "algo_trading_allowed": True,
        "currency_digits": 2,
        **fields,
    }


def position(lots: float = 1.0, *, selling: bool = False, **fields: object) -> dict[str, object]:
    """Return a position in EURUSD at 1.1, of 110,000 USD per lot."""
    return {
        "symbol": 0,
        "type": int(selling),
        "volume": lots,
        "price_open": 1.1,
        "price_current": 1.1,
        "notional": 110_000.0 * lots,
        **fields,
    }


def book_of(
    rules: Sequence[RuleParameters],
    action: Action = Action.BLOCK,
    *,
    account: Mapping[str, object] | Sequence[Mapping[str, object]] | None = None,
    positions: Sequence[Mapping[str, object]] = (),
    orders: Sequence[Mapping[str, object]] = (),
    state: Mapping[str, Any] | None = None,
    surroundings: Surroundings | None = None,
    **sheet: Any,
) -> Book:
    """Evaluate these rules on every account, and lay out what the gate then knows."""
    given = [account_row()] if account is None else account
    rows = list(given) if isinstance(given, Sequence) else [given]
    reading = batch(rows, positions, orders)
    table = pairs_of(rules, [terms()] * len(rows))
    day = {"day_started_at": NOON - 3600, "day_balance": 100_000.0, "day_equity": 100_000.0}
    pair_state = state_of(table, **{**day, "peak": 100_000.0, **(state or {})})
    around = surroundings or Surroundings(moment=NOON, currencies={"Demo": CURRENCIES})
    return Book(
        accounts=replace(_sheet(reading), **sheet),
        table=table,
        labels=tuple(
            RuleLabel(uuid.uuid4(), f"Rule {number}", action) for number in range(len(rules))
        ),
        standing=_standing(reading, table, pair_state, around),
        positions=reading.positions,
        orders=reading.orders,
        symbols=reading.symbols,
        surroundings=around,
    )


def _standing(
    reading: ReadingBatch, table: Any, state: PairState, around: Surroundings
) -> PairStanding:
    evaluation = evaluate(table, state, columns(reading), exposures_of(reading), around)
    return PairStanding(
        status=evaluation.status,
        reason=evaluation.reason,
        value=evaluation.value,
        limit=evaluation.limit,
        left=evaluation.left,
        latched=state.latched,
        acknowledged=state.acknowledged,
    )


def _sheet(reading: ReadingBatch) -> AccountSheet:
    rows, known = reading.accounts, columns(reading)
    count = len(rows)
    return AccountSheet(
        names=tuple(f"Account {row}" for row in range(count)),
        servers=("Demo",) * count,
        logins=np.arange(count),
        currencies=("USD",) * count,
        digits=rows["currency_digits"],
        known=known.known,
        age_seconds=np.zeros(count),
        is_connected=np.ones(count, dtype=np.bool_),
        is_expected=np.ones(count, dtype=np.bool_),
        trade_allowed=rows["trade_allowed"],
        algo_allowed=rows["algo_trading_allowed"],
        is_netting=rows["margin_mode"] != 2,
        leverage=rows["leverage"].astype(np.float64),
        balance=known.balance,
        equity=known.equity,
        margin=known.margin,
        margin_free=np.ascontiguousarray(rows["margin_free"]),
    )


def intent(lots: str = "1", *, selling: bool = False, **fields: Any) -> Intent:
    """Return a market order in EURUSD with a stop loss 100 pips away."""
    symbol_terms = fields.pop("terms", EURUSD)
    price = BID if selling else ASK
    defaults: dict[str, Any] = {
        "order_id": uuid.uuid4(),
        "row": 0,
        "symbol": "EURUSD",
        "is_buy": not selling,
        "is_market": True,
        "volume": Decimal(lots),
        "price": price,
        "stop_loss": round(price + (0.01 if selling else -0.01), 5),
        "take_profit": None,
        "terms": symbol_terms,
        "commission_per_lot": 0.0,
    }
    return Intent(**{**defaults, **fields})


def flying(lots: float = 1.0, **fields: Any) -> InFlight:
    """Return a buy of EURUSD that may be filled any moment."""
    defaults: dict[str, Any] = {
        "row": 0,
        "symbol": "EURUSD",
        "is_buy": True,
        "opens": True,
        "lots": lots,
        "loss_per_lot": 1000.0,
        "notional_per_lot": 110_000.0,
        "margin_per_lot": 1100.0,
    }
    return InFlight(**{**defaults, **fields})


def one(book: Book, order: Intent, *in_flight: InFlight) -> GateDecision:
    return decide(book, [order], in_flight)[0]


def check_of(decision: GateDecision, name: str) -> Check:
    return next(check for check in decision.checks if check.name == name)

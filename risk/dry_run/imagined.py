"""An account that somebody imagines, to see what a rule would say of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from decimal import Decimal

import numpy as np

from accounts.core.zones import broker_zone, to_broker_epoch
from accounts.models import ConnectedAccount
from accounts.terminals.readings import ACCOUNT_DTYPE, ORDER_DTYPE, POSITION_DTYPE, Rows
from risk.core.arrays import Floats
from risk.core.baselines import DayStarts
from risk.core.figures import Currency
from risk.core.pairs import NO_CLOCK, AccountTerms, Clock, PairTable
from risk.core.states import PairState
from risk.dry_run.situation import Situation, reading_batch, terms_of_account

NAME = "These numbers"
_UTC_DAY = Clock(time(0, 0), "UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPosition:
    """`notional` is its value in account currency; a pending order has size alone.

    `loss_at_stop` is what it loses from its opening to its stop loss, told besides the notional;
    without one it has no stop.
    """

    symbol: str
    direction: str
    volume_lots: Decimal
    notional: float | None = None
    profit: float = 0.0
    loss_at_stop: float | None = None
    minutes_open: float = 0.0
    magic: int = 0
    is_pending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenNumbers:
    """Numbers of an imagined account, in its currency; None is not known.

    Equity without one is the balance, credit and what the positions float. The day's balance and
    equity are those at the reset, `peak` the highest that a trailing rule has seen.
    """

    balance: float
    equity: float | None = None
    credit: float = 0.0
    margin: float = 0.0
    initial_balance: float | None = None
    currency: str = "USD"
    day_balance: float | None = None
    day_equity: float | None = None
    day_deposits: float = 0.0
    day_withdrawals: float = 0.0
    peak: float | None = None
    day_trades: int | None = None
    trading_days: int | None = None
    best_day: float | None = None
    positive_days: float | None = None
    total_profit: float | None = None
    idle_days: float | None = None
    positions: Sequence[GivenPosition] = ()


def imagined_situation(
    numbers: GivenNumbers, account: ConnectedAccount | None, *, now: datetime
) -> Situation:
    """Lay out imagined numbers as a reading; an account lends its initial balance and its day."""
    terms = _terms(numbers, account)
    rows = np.zeros(1, ACCOUNT_DTYPE)
    row = rows[0]
    equity = numbers.equity
    if equity is None:
        floating = sum(each.profit for each in numbers.positions if not each.is_pending)
        equity = numbers.balance + numbers.credit + floating
    row["balance"], row["credit"], row["equity"] = numbers.balance, numbers.credit, equity
    row["margin"], row["margin_free"] = numbers.margin, equity - numbers.margin
    row["margin_level"] = equity / numbers.margin * 100 if numbers.margin > 0 else 0.0
    row["connected"] = row["trade_allowed"] = True
    symbols = list(dict.fromkeys(each.symbol for each in numbers.positions))
    currency = account.currency if account is not None else numbers.currency
    return Situation(
        ids=(account.pk if account is not None else None,),
        names=(NAME,),
        money=(Currency(currency),),
        terms=(terms,),
        batch=reading_batch(
            rows,
            _positions(numbers, symbols, now, broker_zone(terms.broker_zone)),
            _orders(numbers, symbols),
            symbols=symbols,
            servers=[account.server if account is not None else ""],
            currencies=[currency],
            now=now,
        ),
        accepted=np.array([True]),
        read_at=np.array([now.timestamp()]),
    )


def imagined_state(
    numbers: GivenNumbers, table: PairTable, state: PairState, days: DayStarts, now: datetime
) -> PairState:
    """Fill in what the numbers tell of the past; what they leave out stays unknown."""
    for pair in range(len(table)):
        if table.clock_index[pair] != NO_CLOCK and _tells_of_day(numbers, table, pair):
            state.day_started_at[pair] = days.starts[table.clock_index[pair]]
        for name in ("day_balance", "day_equity", "peak"):
            _place(getattr(state, name), pair, getattr(numbers, name))
        state.day_deposits[pair] = numbers.day_deposits
        state.day_withdrawals[pair] = -abs(numbers.day_withdrawals)
        if table.counted[pair]:
            for name in (
                "day_trades", "trading_days", "best_day", "positive_days", "total_profit",
            ):  # fmt: skip
                _place(getattr(state, name), pair, getattr(numbers, name))
            if numbers.idle_days is not None:
                state.last_trade_at[pair] = now.timestamp() - numbers.idle_days * 86_400
    return state


def _tells_of_day(numbers: GivenNumbers, table: PairTable, pair: int) -> bool:
    if not table.counted[pair]:
        return numbers.day_balance is not None or numbers.day_equity is not None
    told = ("day_trades", "trading_days", "best_day", "positive_days", "total_profit", "idle_days")
    return any(getattr(numbers, name) is not None for name in told)


def _place(column: Floats, pair: int, value: float | None) -> None:
    if value is not None:
        column[pair] = value


def _terms(numbers: GivenNumbers, account: ConnectedAccount | None) -> AccountTerms:
    initial = numbers.initial_balance
    if account is None:
        return AccountTerms(float("nan") if initial is None else initial, "UTC", _UTC_DAY)
    terms = terms_of_account(account)
    if initial is None:
        return terms
    return AccountTerms(initial, terms.broker_zone, terms.trading_day)


def _positions(numbers: GivenNumbers, symbols: Sequence[str], now: datetime, zone: tzinfo) -> Rows:
    held = [each for each in numbers.positions if not each.is_pending]
    rows = np.zeros(len(held), POSITION_DTYPE)
    for row, each in zip(rows, held, strict=True):
        _fill(row, each, symbols)
        row["type"] = each.direction == "sell"
        row["notional"] = np.nan if each.notional is None else each.notional
        row["profit"] = each.profit
        opened_at = now.timestamp() - each.minutes_open * 60
        row["time_msc"] = int(to_broker_epoch(opened_at, zone) * 1000)
        if each.loss_at_stop is not None:
            _set_stop(row, each.loss_at_stop)
    return rows


def _set_stop(row: np.void, loss: float) -> None:
    """Place the opening so that so much is lost at a stop of 1; not known without a value."""
    distance = loss / row["notional"] if row["notional"] > 0 else np.nan
    row["price_current"] = row["sl"] = 1.0
    row["price_open"] = 1.0 - distance if row["type"] else 1.0 + distance


def _orders(numbers: GivenNumbers, symbols: Sequence[str]) -> Rows:
    pending = [each for each in numbers.positions if each.is_pending]
    rows = np.zeros(len(pending), ORDER_DTYPE)
    for row, each in zip(rows, pending, strict=True):
        _fill(row, each, symbols)
        row["type"] = 3 if each.direction == "sell" else 2  # ORDER_TYPE_SELL_LIMIT, _BUY_LIMIT
    return rows


def _fill(row: np.void, position: GivenPosition, symbols: Sequence[str]) -> None:
    row["symbol"] = symbols.index(position.symbol)
    row["volume"], row["magic"] = float(position.volume_lots), position.magic

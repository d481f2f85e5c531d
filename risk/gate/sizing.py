"""The position size for a risk, with the numbers of an account as it is."""

import math
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from accounts.hot_state import AccountState
from accounts.models import ConnectedAccount
from accounts.symbol_terms import SymbolTerms
from accounts.terminals.readings import STALE_AFTER_SECONDS
from risk.core.sizing import LimitedBy, PositionSize, SizeQuestion, size_position
from risk.gate.commissions import LEARNED
from risk.gate.previewing import account_state, asked_terms
from risk.models import Order

_SELLS = 1
_CLOSE_BY = 8


def position_size(
    *,
    account: ConnectedAccount,
    symbol: str,
    direction: str,
    stop_loss: float,
    risk_fraction: float | Decimal | None = None,
    risk_money: float | Decimal | None = None,
    entry_price: float | None = None,
    now: datetime,
    terms: SymbolTerms | None = None,
) -> PositionSize:
    """Work out the lots of an order that lose a given risk at its stop.

    The risk is money, or a fraction of the balance. Without an entry price the order is filled at
    the market. Refused, with the reason, where a number is not known.
    """
    known = terms or asked_terms(account, symbol)
    state = account_state(account)
    fresh = state is not None and _is_fresh(state, now)
    money = _risk(state if fresh else None, risk_fraction, risk_money)
    if known is None:
        return _refused(money, f"The terms of {symbol} are not known now: its host does not tell.")
    is_buy = direction == Order.Direction.BUY
    entry = entry_price or known.price_for(is_buy)
    if entry is None:
        return _refused(money, f"There is no price for {symbol}.")
    if money is None:
        return _refused(None, "The balance is not known now, so neither is a part of it.", entry)
    if money <= 0:
        return _refused(money, "The risk must be more than 0.", entry)
    leverage = int(state.account["leverage"]) if state is not None else 0
    question = SizeQuestion(
        terms=known,
        is_buy=is_buy,
        entry_price=entry,
        stop_loss=stop_loss,
        risk_money=money,
        commission_per_lot=LEARNED.per_lot(account.pk, symbol, now),
        margin_per_lot=known.margin_per_lot(is_buy, entry, leverage),
        margin_free=float(state.account["margin_free"]) if state is not None and fresh else None,
        held_lots=_held(state, symbol, is_buy=is_buy) if state is not None else 0.0,
        currency=account.currency,
        currency_digits=int(state.account["currency_digits"]) if state is not None else 2,
    )
    size = size_position(question)
    if question.margin_free is None and not size.is_refused:
        text = f"{size.sentence[:-1]}; the free margin is not known now and was left out."
        size = replace(size, sentence=text)
    return size


def _is_fresh(state: AccountState, now: datetime) -> bool:
    read_at = float(state.account["read_at"])
    return not math.isnan(read_at) and now.timestamp() - read_at <= STALE_AFTER_SECONDS


def _risk(
    state: AccountState | None,
    fraction: float | Decimal | None,
    money: float | Decimal | None,
) -> float | None:
    if money is not None:
        return float(money)
    if fraction is None or state is None:
        return None
    return float(fraction) * float(state.account["balance"])


def _held(state: AccountState, symbol: str, *, is_buy: bool) -> float:
    """Return the lots of a direction with its pending orders."""
    if symbol not in state.tables.symbols:
        return 0.0
    number, side = state.tables.symbols.index(symbol), 0 if is_buy else _SELLS
    positions, orders = state.positions, state.orders
    held = positions[(positions["symbol"] == number) & (positions["type"] == side)]
    waiting = orders[(orders["symbol"] == number) & (orders["type"] < _CLOSE_BY)]
    waiting = waiting[waiting["type"] & 1 == side]
    return float(held["volume"].sum() + waiting["volume"].sum())


def _refused(money: float | None, sentence: str, entry: float | None = None) -> PositionSize:
    return PositionSize(
        lots=Decimal(0),
        risk_money=money,
        loss_per_lot=None,
        loss_at_stop=None,
        margin=None,
        entry_price=entry,
        limited_by=LimitedBy.UNKNOWN,
        sentence=sentence,
    )

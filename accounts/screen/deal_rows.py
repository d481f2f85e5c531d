"""Deals of the broker's history in the words of a trader."""

from collections.abc import Iterable
from dataclasses import dataclass

from accounts.figures import UNKNOWN, amount, price, signed
from accounts.models import Deal

# DEAL_TYPE_* and DEAL_ENTRY_* of MetaTrader 5.
TYPES = (
    "Buy",
    "Sell",
    "Balance",
    "Credit",
    "Charge",
    "Correction",
    "Bonus",
    "Commission",
    "Daily commission",
    "Monthly commission",
    "Daily agent commission",
    "Monthly agent commission",
    "Interest",
    "Cancelled buy",
    "Cancelled sell",
    "Dividend",
    "Franked dividend",
    "Tax",
)
ENTRIES = ("in", "out", "in and out", "out by")
TRADES = (0, 1)
PRICE_DIGITS = 8


@dataclass(frozen=True, slots=True)
class DealRow:
    """`result` is what the deal changed in the balance: profit, swap, commission and fee."""

    deal: Deal
    kind: str
    entry: str
    side: str
    volume: str
    price: str
    result: str
    tone: str


def deal_rows(deals: Iterable[Deal]) -> list[DealRow]:
    return [_row(deal) for deal in deals]


def _row(deal: Deal) -> DealRow:
    is_trade = deal.type in TRADES
    result = float(deal.profit + deal.swap + deal.commission + deal.fee)
    return DealRow(
        deal=deal,
        kind=_named(TYPES, deal.type),
        entry=_named(ENTRIES, deal.entry) if is_trade else "",
        side=("buy", "sell")[deal.type] if is_trade else "",
        volume=f"{deal.volume_lots.normalize():f}" if is_trade else UNKNOWN,
        price=_price(deal.price) if is_trade else UNKNOWN,
        result=signed(result) if result else amount(0.0),
        tone="gain" if result > 0 else "loss" if result < 0 else "none",
    )


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else f"Type {number}"


def _price(value: float) -> str:
    """Write a price with the digits it has: a deal does not say how many its symbol has."""
    text = price(value, PRICE_DIGITS)
    return text.rstrip("0").rstrip(".") if "." in text else text

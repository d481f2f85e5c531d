"""Deals of the broker's history in the words of a trader."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from accounts.core.kinds import DealEntry, DealType
from accounts.figures import UNKNOWN, amount, price, signed
from accounts.models import Deal

TRADES = (DealType.BUY, DealType.SELL)
_ENTRIES: Mapping[int, str] = {
    DealEntry.IN: "in",
    DealEntry.OUT: "out",
    DealEntry.INOUT: "in and out",
    DealEntry.OUT_BY: "out by",
}
_TYPES = {each.value: each.name.replace("_", " ").capitalize() for each in DealType}
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
        kind=_named(_TYPES, deal.type),
        entry=_named(_ENTRIES, deal.entry) if is_trade else "",
        side=_TYPES[deal.type].lower() if is_trade else "",
        volume=f"{deal.volume_lots.normalize():f}" if is_trade else UNKNOWN,
        price=_price(deal.price) if is_trade else UNKNOWN,
        result=signed(result) if result else amount(0.0),
        tone="gain" if result > 0 else "loss" if result < 0 else "none",
    )


def _named(names: Mapping[int, str], number: int) -> str:
    return names.get(number, f"Type {number}")


def _price(value: float) -> str:
    """Write a price with the digits it has: a deal does not say how many its symbol has."""
    text = price(value, PRICE_DIGITS)
    return text.rstrip("0").rstrip(".") if "." in text else text

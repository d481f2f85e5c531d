"""Deals in the words of whoever reads about them on a phone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from accounts.core.kinds import DealEntry, DealReason, DealType
from accounts.figures import signed
from accounts.history.deals import NewDeal
from accounts.models import Deal
from risk.core.figures import counted_text, plain_text

_BY: Final[Mapping[int, str]] = {
    DealReason.SL: "by its stop loss",
    DealReason.TP: "by its take profit",
    DealReason.EXPERT: "by a program",
    DealReason.CLIENT: "by hand",
    DealReason.MOBILE: "by hand",
    DealReason.WEB: "by hand",
}
_MOST_LINES: Final = 10
AnyDeal = Deal | NewDeal
PriceDigits = Mapping[tuple[str, str], int]
"""How many digits prices have behind the point, by server and symbol."""
_UNKNOWN: Final[PriceDigits] = {}


@dataclass(frozen=True, slots=True)
class Move:
    """What happened to one position at once: deals of the same kind, for the same reason."""

    entry: int
    reason: int
    is_buy: bool
    symbol: str
    volume: Decimal  # in lots
    price: float  # mean of the deals
    result: Decimal  # closed, with swap, commission and fee
    is_left: bool  # the position is still open, or open the other way round
    price_digits: int | None = None  # of the symbol; None where that is not known

    @property
    def closes(self) -> bool:
        return self.entry in (DealEntry.OUT, DealEntry.OUT_BY)

    @property
    def price_text(self) -> str:
        """The mean price; that of several deals may have more digits than its symbol."""
        shown = f"{self.price:.10g}"
        if self.price_digits is None:
            return shown
        return max(f"{self.price:.{self.price_digits}f}", shown, key=_decimals)

    def sentence(self, currency: str) -> str:
        """Say what happened, without a full stop."""
        lots, at = counted_text(self.volume, "lot"), f"at {self.price_text}"
        by = _BY.get(self.reason, "")
        if self.closes:
            said = _joined(f"{lots} of {self.symbol} closed", by, at)
            rest = ", the rest stays open" if self.is_left else ""
            return f"{said}{rest}, {money(self.result, currency)}"
        said = _joined(f"{lots} of {self.symbol} {'bought' if self.is_buy else 'sold'}", at, by)
        if self.entry == DealEntry.INOUT:
            return f"{said}, which turned the position round, {money(self.result, currency)}"
        return said


def _decimals(price: str) -> int:
    return len(price.partition(".")[2])


def _joined(*words: str) -> str:
    return " ".join(filter(None, words))


def moves_of(
    deals: Iterable[AnyDeal], held: Iterable[int], digits: PriceDigits = _UNKNOWN
) -> list[Move]:
    """Put the deals of an account together by position, what was done and why; in their order.

    `held` names the positions that are open after them, `digits` how many their prices have.
    """
    still_open = set(held)
    found: dict[tuple[int, int, int, int], list[AnyDeal]] = {}
    for deal in deals:
        key = (deal.position, deal.entry, deal.reason, deal.type)
        found.setdefault(key, []).append(deal)
    return [_move(same, digits, is_left=key[0] in still_open) for key, same in found.items()]


def _move(deals: Sequence[AnyDeal], digits: PriceDigits, *, is_left: bool) -> Move:
    first = deals[0]
    volume = sum((deal.volume_lots for deal in deals), Decimal(0))
    value = sum(deal.price * float(deal.volume_lots) for deal in deals)
    return Move(
        entry=first.entry,
        reason=first.reason,
        is_buy=first.type == DealType.BUY,
        symbol=first.symbol,
        volume=volume,
        price=round(value / float(volume), 10) if volume else first.price,
        result=sum(
            (deal.profit + deal.swap + deal.commission + deal.fee for deal in deals), Decimal(0)
        ),
        is_left=is_left,
        price_digits=digits.get((first.server, first.symbol)),
    )


def title_of(moves: Sequence[Move], currency: str) -> str:
    """Say in a few words what happened on an account."""
    if len(moves) == 1:
        return moves[0].sentence(currency)
    closing = [move for move in moves if move.closes]
    counts = {
        "opened": len(moves) - len(closing),
        "reduced": sum(move.is_left for move in closing),
        "closed": sum(not move.is_left for move in closing),
    }
    parts = [f"{counted_text(count, 'position')} {did}" for did, count in counts.items() if count]
    if closing:
        parts.append(money(sum((move.result for move in closing), Decimal(0)), currency))
    return ", ".join(parts)


def body_of(moves: Sequence[Move], currency: str) -> str:
    """Say each thing that happened in a line of its own, so many that a phone shows them."""
    lines = [f"{move.sentence(currency)}." for move in moves[:_MOST_LINES]]
    if len(moves) > _MOST_LINES:
        lines.append(f"And {len(moves) - _MOST_LINES} more.")
    return "\n".join(lines)


def money(amount: Decimal, currency: str) -> str:
    """Write a result with its sign: "+12.30 USD", "−4.00 USD"."""
    return f"{signed(float(amount))} {currency}"


def filled_sentence(deals: Sequence[AnyDeal], digits: PriceDigits = _UNKNOWN) -> str:
    """Say of a pending order's deals what they bought or sold."""
    move = _move(deals, digits, is_left=True)
    what = "bought" if move.is_buy else "sold"
    return f"{plain_text(move.volume)} {move.symbol} {what} at {move.price_text}"

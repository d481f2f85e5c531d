"""What is closed, how much of it, and in which order.

Volumes are Decimals in lots and rounded by the symbol's step; money is the account's currency.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from risk.core.rule_types import ClosingOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPosition:
    """A position as it was just read; `profit` contains its swap, `notional` is never negative."""

    ticket: int
    symbol: str
    is_sell: bool
    volume: Decimal
    step: Decimal = Decimal("0.01")
    min_volume: Decimal = Decimal("0.01")
    profit: float = 0.0
    price_open: float = 0.0
    price_current: float = 0.0
    stop_loss: float = 0.0
    notional: float = 0.0
    opened_msc: int = 0
    magic: int = 0
    is_close_by_allowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingOrder:
    """A pending order as it was just read."""

    ticket: int
    symbol: str
    is_sell: bool
    volume: Decimal
    placed_msc: int = 0
    magic: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """How much of a position is to be closed."""

    ticket: int
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Close:
    """One closing order: by the position `by` on the other side, or at the market (None)."""

    ticket: int
    volume: Decimal
    by: int | None = None


def left_after(position: OpenPosition, lots: Decimal) -> Decimal:
    """Return what may stay open when at least `lots` must go: floored to the step.

    What would be below the smallest volume does not stay.
    """
    left = position.volume - lots
    if left <= 0:
        return Decimal(0)
    left = (left / position.step).to_integral_value(ROUND_FLOOR) * position.step
    return left if left >= position.min_volume else Decimal(0)


def in_order(positions: Iterable[OpenPosition], order: ClosingOrder) -> list[OpenPosition]:
    """Sort positions by which goes first; of equal ones the newer."""
    if order is ClosingOrder.OLDEST_FIRST:
        return sorted(positions, key=lambda each: (each.opened_msc, each.ticket))
    newest = sorted(positions, key=lambda each: (-each.opened_msc, -each.ticket))
    if order is ClosingOrder.NEWEST_FIRST:
        return newest
    return sorted(newest, key=lambda each: each.profit)


def plan_closes(
    parts: Iterable[Part],
    positions: Mapping[int, OpenPosition],
    *,
    order: ClosingOrder,
    is_hedging: bool,
    closes_by: bool = True,
) -> list[Close]:
    """Plan the next round of closes, none of which depends on how another one ends.

    Hedged legs close each other where the broker allows it, unless `closes_by` is False; what the
    larger one keeps goes in the round after, when it was read again. Elsewhere the net side of a
    hedged symbol goes first. On a netting account there is one position, and so one close in a
    round, for each symbol.
    """
    wanted = {
        part.ticket: min(part.volume, positions[part.ticket].volume)
        for part in parts
        if part.ticket in positions and part.volume > 0
    }
    queue = in_order((positions[ticket] for ticket in wanted), order)
    if not is_hedging:
        return [Close(position.ticket, wanted[position.ticket]) for position in queue]
    closes: list[Close] = []
    paired: set[int] = set()
    for one, other in _pairs(queue, wanted) if closes_by else ():
        closes.append(Close(one.ticket, min(one.volume, other.volume), by=other.ticket))
        paired |= {one.ticket, other.ticket}
    singles = [position for position in queue if position.ticket not in paired]
    ranked = _net_side_first(singles, list(positions.values()))
    return closes + [Close(position.ticket, wanted[position.ticket]) for position in ranked]


def _pairs(
    queue: Sequence[OpenPosition], wanted: Mapping[int, Decimal]
) -> Iterable[tuple[OpenPosition, OpenPosition]]:
    """Match opposite positions of a symbol that both shall go, the larger ones first."""
    sides: dict[str, tuple[list[OpenPosition], list[OpenPosition]]] = {}
    for position in queue:
        if position.is_close_by_allowed and wanted[position.ticket] == position.volume:
            sides.setdefault(position.symbol, ([], []))[position.is_sell].append(position)
    for buys, sells in sides.values():
        buys.sort(key=lambda each: -each.volume)
        sells.sort(key=lambda each: -each.volume)
        yield from zip(buys, sells, strict=False)


def _net_side_first(
    queue: Sequence[OpenPosition], held: Collection[OpenPosition]
) -> list[OpenPosition]:
    """Bring the larger side of each hedged symbol before the smaller one, else keep the order."""
    net: dict[str, Decimal] = {}
    sides: dict[str, set[bool]] = {}
    for position in held:
        signed = -position.volume if position.is_sell else position.volume
        net[position.symbol] = net.get(position.symbol, Decimal(0)) + signed
        sides.setdefault(position.symbol, set()).add(position.is_sell)
    first_place: dict[str, int] = {}
    for place, position in enumerate(queue):
        first_place.setdefault(position.symbol, place)

    def rank(item: tuple[int, OpenPosition]) -> tuple[int, bool, int]:
        place, position = item
        if len(sides[position.symbol]) < 2:
            return place, False, place
        is_smaller = (net[position.symbol] > 0) == position.is_sell and net[position.symbol] != 0
        return first_place[position.symbol], is_smaller, place

    return [position for _, position in sorted(enumerate(queue), key=rank)]

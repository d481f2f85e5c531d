"""What a follower should hold, worked out anew from its provider's deals at the broker.

Nothing of the copier's own arithmetic is used: only what its opens are recorded to have filled.
"""

from dataclasses import dataclass
from decimal import Decimal

from tradeguard.soaking.cast import Pair
from tradeguard.soaking.market import Dealt
from tradeguard.soaking.records import IN, INOUT, Records

_NONE = Decimal(0)


@dataclass(frozen=True, slots=True)
class Expected:
    """The lots of one copy: `most` if nobody else had touched it.

    `is_certain` is False where a copied pending order was filled at a moment of its own.
    """

    provider_position: int
    symbol: str
    is_buy: bool
    most: Decimal
    closes: int
    is_certain: bool


def expected_copies(records: Records, pair: Pair) -> list[Expected]:
    """Return what each position of the provider should be worth at the follower."""
    deals: dict[int, list[Dealt]] = {}
    for deal in records.of(pair.provider).deals:
        deals.setdefault(deal.position, []).append(deal)
    return [_expected(records, pair, ticket, each) for ticket, each in deals.items()]


def _expected(records: Records, pair: Pair, ticket: int, deals: list[Dealt]) -> Expected:
    symbol = pair.symbol_here(deals[0].symbol)
    least, step = records.steps(pair, symbol)
    theirs, ours, closes = _NONE, _NONE, 0
    is_buy, is_certain = deals[0].is_buy, True
    for deal in deals:
        if deal.entry == IN:
            filled, is_sure = _filled(records, pair, deal)
            theirs, ours = theirs + deal.volume, ours + filled
            is_certain &= is_sure
        elif deal.entry == INOUT:
            opened = deal.volume - theirs
            ours, is_sure = _filled(records, pair, deal)
            theirs, is_buy = opened, deal.is_buy
            is_certain &= is_sure
        else:
            closes += 1
            ours -= part_of(ours, deal.volume, theirs, least, step)
            theirs -= min(deal.volume, theirs)
    is_reverse = pair.relationship.is_reverse
    return Expected(ticket, symbol, is_buy is not is_reverse, ours, closes, is_certain)


def part_of(
    held: Decimal, closed: Decimal, before: Decimal, least: Decimal, step: Decimal
) -> Decimal:
    """Return what of `held` lots closes with `closed` of `before`, by the words of the rules."""
    if held <= 0 or before <= 0 or closed >= before:
        return held
    part = (held * closed / before) // step * step
    if part <= 0:
        return _NONE
    if held - part < least:
        return held
    return part if part >= least else _NONE


def _filled(records: Records, pair: Pair, deal: Dealt) -> tuple[Decimal, bool]:
    """Return what the copy of an open filled, and whether it was filled when that was."""
    event = records.open_event(pair.provider, deal)
    copy = None if event is None else records.copy_of.get((pair.relationship.pk, event.pk))
    if copy is not None and copy.filled_volume:
        return copy.filled_volume, True
    placed = records.placed_events.get((pair.provider.pk, deal.order))
    pending = None if placed is None else records.copy_of.get((pair.relationship.pk, placed.pk))
    if pending is not None and pending.filled_volume:
        return pending.filled_volume, False
    return _NONE, placed is None

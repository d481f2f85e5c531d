"""What a deal did to its position."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Final

from copytrade.core.kinds import EventKind
from copytrade.watching.facts import Change, HeldPosition, KnownPosition, NewDeal

IN, OUT, INOUT, OUT_BY = range(4)  # DEAL_ENTRY_*
BY_PROGRAM: Final = 3  # DEAL_REASON_EXPERT
STOP_OUT: Final = 6  # DEAL_REASON_SO

Effect = tuple[list[Change], KnownPosition | None]


def effect_of(deal: NewDeal, before: KnownPosition | None, shown: HeldPosition | None) -> Effect:
    """Return what a deal means, oldest first, and what it leaves of its position.

    `before` is the position as the earlier deals left it, `shown` as the reading shows it.
    """
    if deal.entry == IN:
        return _opened(deal, before, shown)
    held = _closed_from(deal, before, shown)
    if deal.entry == INOUT:
        closed = _close(deal, held, held.held.lots)
        opened, left = _opened(
            replace(deal, lots=max(deal.lots - held.held.lots, Decimal(0))), None, shown
        )
        return [closed, *opened], left
    lots = min(deal.lots, held.held.lots)
    rest = held.held.lots - lots
    return [_close(deal, held, lots)], held.with_lots(rest) if rest > 0 else None


def is_own(
    deal: NewDeal, before: KnownPosition | None, own_tags: Iterable[int], *, is_hedging: bool
) -> bool:
    """Tell whether a deal was made by a copy that TradeGuard itself sent to this account.

    On a hedging account whatever happens to such a copy is nobody else's trade. A netted position
    may hold more than the copy, so that only the orders for the copy itself count there: the close
    of all of it at its stop carries the magic number of the order that opened it.
    """
    is_tagged = deal.magic in own_tags
    if deal.entry == IN:
        return is_tagged
    if is_hedging and before is not None and before.held.magic in own_tags:
        return True
    return is_tagged and (is_hedging or deal.reason == BY_PROGRAM)


def _opened(deal: NewDeal, before: KnownPosition | None, shown: HeldPosition | None) -> Effect:
    if deal.lots <= 0:
        return [], before
    stops = (0.0, 0.0) if shown is None else (shown.stop_loss, shown.take_profit)
    lots_before = Decimal(0) if before is None else before.held.lots
    change = Change(
        kind=EventKind.OPEN,
        key=str(deal.ticket),
        symbol=deal.symbol,
        is_buy=deal.is_buy,
        happened_at=deal.happened_at,
        lots=deal.lots,
        lots_before=lots_before,
        price=deal.price,
        stop_loss=stops[0],
        take_profit=stops[1],
        magic=deal.magic,
        position=deal.position,
        order=deal.order or None,
        deal=deal.ticket,
    )
    if before is not None:
        return [change], replace(before.with_lots(lots_before + deal.lots), is_told=True)
    held = HeldPosition(
        identifier=deal.position,
        symbol=deal.symbol,
        is_buy=deal.is_buy,
        lots=deal.lots,
        stop_loss=stops[0],
        take_profit=stops[1],
        magic=deal.magic,
    )
    return [change], KnownPosition(held=held, is_told=True)


def _closed_from(
    deal: NewDeal, before: KnownPosition | None, shown: HeldPosition | None
) -> KnownPosition:
    """Return what a deal closed a part of; nobody may have seen it open."""
    if before is not None:
        return before
    left = Decimal(0) if shown is None else shown.lots
    lots = max(deal.lots - left, Decimal(0)) if deal.entry == INOUT else left + deal.lots
    held = HeldPosition(
        identifier=deal.position, symbol=deal.symbol, is_buy=not deal.is_buy, lots=lots
    )
    return KnownPosition(held=held)


def _close(deal: NewDeal, before: KnownPosition, lots: Decimal) -> Change:
    held = before.held
    return Change(
        kind=EventKind.CLOSE if lots >= held.lots else EventKind.PARTIAL_CLOSE,
        key=str(deal.ticket),
        symbol=held.symbol,
        is_buy=held.is_buy,
        happened_at=deal.happened_at,
        lots=lots,
        lots_before=held.lots,
        price=deal.price,
        magic=held.magic or deal.magic,
        position=deal.position,
        order=deal.order or None,
        deal=deal.ticket,
        is_stop_out=deal.reason == STOP_OUT,
    )

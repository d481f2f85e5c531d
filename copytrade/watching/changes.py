"""What a provider did between what is remembered of it and what a proven reading shows.

Deals decide: a position that appears or goes without a deal means nothing yet.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from copytrade.core.kinds import EventKind
from copytrade.watching import pendings
from copytrade.watching.deals import INOUT, OUT, OUT_BY, effect_of, is_own
from copytrade.watching.facts import (
    AccountReading,
    Change,
    HeldPosition,
    KnownOrder,
    KnownPosition,
    Memory,
    NewDeal,
    OrderEnding,
)

# The deal of what a list shows may follow a little later; after so long none will.
DIFFERS_FOR: Final = timedelta(seconds=30)
# By so much the clocks of a broker and of the host may differ where one tells what was first.
_CLOCKS_DIFFER: Final = DIFFERS_FOR / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known beside the reading.

    `own_tags` are the magic numbers of copies that TradeGuard sent to this account, `endings` what
    the history says of orders that are gone. Opens from before `since` are nobody's, nor are closes
    from before it of what was never told.
    """

    now: datetime
    own_tags: Collection[int] = frozenset()
    endings: Mapping[int, OrderEnding] = field(default_factory=dict)
    since: datetime | None = None


def detect(
    memory: Memory, reading: AccountReading, evidence: Evidence
) -> tuple[list[Change], Memory]:
    """Return what happened, orders before deals before stops, and what is to be remembered."""
    order_changes, orders = pendings.detect_orders(
        memory.orders,
        reading,
        own_tags=evidence.own_tags,
        endings=evidence.endings,
        now=evidence.now,
    )
    deal_changes, dealt = _follow_deals(memory, reading, evidence)
    stop_changes, positions = _follow_lists(dealt, reading, evidence.now)
    return [*order_changes, *deal_changes, *stop_changes], Memory(positions, orders)


def moved_untold(memory: Memory, reading: AccountReading) -> list[int]:
    """Return positions whose stops moved and whose open was not told as far as is remembered."""
    return [
        identifier
        for identifier, known in memory.positions.items()
        if not known.is_told
        and identifier in reading.positions
        and _stops(reading.positions[identifier]) != _stops(known.held)
    ]


def _follow_deals(
    memory: Memory, reading: AccountReading, evidence: Evidence
) -> tuple[list[Change], dict[int, KnownPosition]]:
    positions, changes = dict(memory.positions), []
    for deal in reading.deals:
        known = _explained(positions.get(deal.position), deal)
        meant, left = effect_of(deal, known, reading.positions.get(deal.position))
        told = _told(meant, deal, known, reading, evidence)
        changes += told
        if left is None:
            positions.pop(deal.position, None)
        else:
            was_told = known is not None and known.is_told
            opens = any(change.kind is EventKind.OPEN for change in told)
            if opens and (known is None or deal.entry == INOUT):
                left = _as_ordered(left, memory.orders.get(deal.order))
            positions[deal.position] = replace(left, is_told=was_told or opens)
    return changes, positions


def _as_ordered(opened: KnownPosition, known: KnownOrder | None) -> KnownPosition:
    """Give a position the stops with which the order was told that opened it.

    Orders that were copied from that have the same: what was moved since is to be told to them.
    """
    if known is None or not known.is_told:
        return opened
    order = known.order
    held = replace(opened.held, stop_loss=order.stop_loss, take_profit=order.take_profit)
    return replace(opened, held=held)


def _told(
    meant: list[Change],
    deal: NewDeal,
    known: KnownPosition | None,
    reading: AccountReading,
    evidence: Evidence,
) -> list[Change]:
    """Leave out what is nobody's business; the end of what was told once is told always."""
    was_told = known is not None and known.is_told
    if is_own(deal, known, evidence.own_tags, is_hedging=reading.is_hedging):
        ends = [change for change in meant if change.kind is EventKind.CLOSE]
        return ends if was_told and not reading.is_hedging else []
    if evidence.since is None or deal.happened_at >= evidence.since:
        return meant
    return [change for change in meant if was_told and change.kind is not EventKind.OPEN]


def _follow_lists(
    positions: Mapping[int, KnownPosition], reading: AccountReading, now: datetime
) -> tuple[list[Change], dict[int, KnownPosition]]:
    changes: list[Change] = []
    followed: dict[int, KnownPosition] = {}
    for identifier, known in positions.items():
        shown = reading.positions.get(identifier)
        if shown is None:
            followed[identifier] = known
            continue
        if _stops(shown) != _stops(known.held):
            if known.is_told:
                known = replace(known, moves=known.moves + 1)
                changes.append(_moved(known, shown, now))
            stops = replace(known.held, stop_loss=shown.stop_loss, take_profit=shown.take_profit)
            known = replace(known, held=stops)
        followed[identifier] = _weighed(known, shown, now)
    return changes, followed


def _weighed(known: KnownPosition, shown: HeldPosition, now: datetime) -> KnownPosition:
    """Believe the list about the lots in the end, where no deal explains them."""
    if shown.lots == known.held.lots:
        return known if known.differs_since is None else replace(known, differs_since=None)
    if known.differs_since is None:
        return replace(known, differs_since=now)
    if now - known.differs_since < DIFFERS_FOR:
        return known
    return known.believing(shown.lots, known.differs_since)


def _explained(known: KnownPosition | None, deal: NewDeal) -> KnownPosition | None:
    """Give a position back what a list has taken off it, where that deal comes only now.

    Taken off twice, a part would be the end of the position for all who copy it.
    """
    if known is None or known.unexplained_since is None or deal.entry not in (OUT, OUT_BY):
        return known
    if deal.happened_at > known.unexplained_since + _CLOCKS_DIFFER:
        return known
    lots = min(deal.lots, known.unexplained_lots)
    left = known.unexplained_lots - lots
    return replace(known.with_lots(known.held.lots + lots), unexplained_lots=left)


def _moved(known: KnownPosition, shown: HeldPosition, now: datetime) -> Change:
    held = known.held
    return Change(
        kind=EventKind.STOPS,
        key=f"{held.identifier}:{known.moves}",
        symbol=held.symbol,
        is_buy=held.is_buy,
        happened_at=now,
        lots=held.lots,
        stop_loss=shown.stop_loss,
        take_profit=shown.take_profit,
        magic=held.magic,
        position=held.identifier,
    )


def _stops(held: HeldPosition) -> tuple[float, float]:
    return held.stop_loss, held.take_profit

"""Whether copies have the stops that their provider's positions have."""

from collections.abc import Iterator

from copytrade.core.kinds import EventKind, SkipReason
from copytrade.core.levels import is_alike
from copytrade.models import CopyOrder, CopyPosition
from tradeguard.soaking.cast import Pair
from tradeguard.soaking.market import Held
from tradeguard.soaking.records import Records

_LEVELS = (EventKind.OPEN, EventKind.STOPS)


def stopped_wrongly(records: Records) -> Iterator[str]:
    """Look at each copy that has a position, and a provider's position, of its own."""
    for pair in records.cast.pairs:
        has_own = not pair.is_netting and not records.cast.is_netting(pair.provider)
        terms = pair.relationship
        is_fixed = terms.stop_loss_points is not None or terms.take_profit_points is not None
        if has_own and terms.copies_stops and not is_fixed:
            yield from _of_pair(records, pair)


def _of_pair(records: Records, pair: Pair) -> Iterator[str]:
    theirs = {held.ticket: held for held in records.of(pair.provider).positions}
    ours = {held.ticket: held for held in records.of(pair.follower).positions}
    for row in records.rows_of.get(pair.relationship.pk, ()):
        provided, held = theirs.get(row.provider_position), ours.get(row.follower_position or 0)
        if row.state != CopyPosition.State.OPEN or provided is None or held is None:
            continue
        if _was_copied(records, pair, row.provider_position):
            yield from _compared(records, pair, provided, held)


def _was_copied(records: Records, pair: Pair, ticket: int) -> bool:
    """Tell whether the newest levels arrived; why not is for the ledger to say."""
    events = [
        event
        for event in records.events.values()
        if event.provider_id == pair.provider.pk
        and event.position_ticket == ticket
        and event.kind in _LEVELS
    ]
    newest = max(events, key=lambda event: (event.detected_at, event.happened_at), default=None)
    copy = None if newest is None else records.copy_of.get((pair.relationship.pk, newest.pk))
    return copy is not None and (
        copy.state == CopyOrder.State.DONE or copy.reason == SkipReason.UNCHANGED
    )


def _compared(records: Records, pair: Pair, theirs: Held, ours: Held) -> Iterator[str]:
    terms = records.market.terms(pair.follower, ours.symbol)
    wanted = (theirs.stop_loss, theirs.take_profit)
    if pair.relationship.is_reverse:
        wanted = wanted[::-1]
    present = (ours.stop_loss, ours.take_profit)
    point = 1e-5 if terms is None else terms.point
    if not all(is_alike(*levels, point) for levels in zip(wanted, present, strict=True)):
        yield (
            f"{pair.follower.name}: position {ours.ticket} has the stops {present},"
            f" its provider's {theirs.ticket} has {wanted}."
        )

"""Whether a relationship takes part in what its provider opens."""

import math
from typing import Final

from copytrade.core import sentences
from copytrade.core.facts import FollowerSnapshot, RelationshipTerms, exact
from copytrade.core.hours import is_within, local_time
from copytrade.core.kinds import Directions, RelationshipState, SkipReason
from copytrade.core.occasion import Occasion
from copytrade.core.plans import Refusal

_NOT_COPYING: Final = {
    RelationshipState.OFFERED: (SkipReason.NOT_ACCEPTED, sentences.not_accepted),
    RelationshipState.DECLINED: (SkipReason.NOT_ACCEPTED, sentences.not_accepted),
    RelationshipState.TERMINATED: (SkipReason.TERMINATED, sentences.terminated),
}
_NOT_OPENING: Final = {
    **_NOT_COPYING,
    RelationshipState.PAUSED: (SkipReason.PAUSED, sentences.paused),
    RelationshipState.CLOSE_ONLY: (SkipReason.CLOSE_ONLY, sentences.close_only),
}


def ended(occasion: Occasion, terms: RelationshipTerms) -> Refusal | None:
    """Say why nothing at all is copied any more, or not yet."""
    found = _NOT_COPYING.get(terms.state)
    return None if found is None else Refusal(found[0], found[1](occasion.trade))


def opening_refused(occasion: Occasion, follower: FollowerSnapshot) -> Refusal | None:
    """Say why an open is not copied, by everything but its symbol and its size."""
    terms = follower.terms
    found = _NOT_OPENING.get(terms.state)
    if found is not None:
        return Refusal(found[0], found[1](occasion.trade))
    if occasion.event.is_own_copy:
        return Refusal(SkipReason.OWN_COPY, sentences.own_copy(occasion.trade))
    return _out_of_time(occasion, terms) or _filtered(occasion, terms) or _account_barred(follower)


def symbol_refused(
    occasion: Occasion, terms: RelationshipTerms, symbol: str | None
) -> Refusal | None:
    """Say why a symbol is not copied; the lists may name it as either side calls it."""
    theirs = occasion.event.symbol
    if theirs in terms.exclude_symbols or symbol in terms.exclude_symbols:
        return Refusal(SkipReason.SYMBOL_EXCLUDED, sentences.symbol_excluded(theirs, ()))
    listed = terms.include_symbols
    if listed and theirs not in listed and symbol not in listed:
        return Refusal(SkipReason.SYMBOL_EXCLUDED, sentences.symbol_excluded(theirs, listed))
    return None


def count_refused(follower: FollowerSnapshot) -> Refusal | None:
    """Say that no further position may be opened."""
    most = follower.terms.maximum_positions
    if most is None or follower.open_copies < most:
        return None
    text = sentences.most_positions(follower.open_copies, most)
    return Refusal(SkipReason.MOST_POSITIONS, text)


def _out_of_time(occasion: Occasion, terms: RelationshipTerms) -> Refusal | None:
    event = occasion.event
    if not event.is_adopted:
        if terms.started_at is not None and event.happened_at < terms.started_at:
            text = sentences.before_start(occasion.trade, event.happened_at, terms.started_at)
            return Refusal(SkipReason.BEFORE_START, text)
        if occasion.age_seconds > terms.open_deadline_seconds:
            age, most = occasion.age_seconds, terms.open_deadline_seconds
            return Refusal(SkipReason.LATE, sentences.late(occasion.trade, age, most))
    start, end, zone = terms.trading_from, terms.trading_until, terms.trading_zone
    if start is None or end is None or is_within(occasion.now, start, end, zone):
        return None
    clock = local_time(occasion.now, zone)
    return Refusal(SkipReason.HOURS, sentences.hours(clock, start, end, zone))


def _filtered(occasion: Occasion, terms: RelationshipTerms) -> Refusal | None:
    event = occasion.event
    copied = terms.directions
    if copied is not Directions.BOTH and (copied is Directions.BUY) is not event.is_buy:
        return Refusal(SkipReason.DIRECTION, sentences.direction(occasion.trade, copied))
    if terms.magics and event.magic not in terms.magics:
        return Refusal(SkipReason.MAGIC, sentences.magic(event.magic, terms.magics))
    return None


def _account_barred(follower: FollowerSnapshot) -> Refusal | None:
    if follower.lock_reason:
        return Refusal(SkipReason.LOCKED, sentences.locked(follower.lock_reason))
    stop, figures = follower.terms.equity_stop, follower.figures
    if stop is None:
        return None
    if figures is None or not math.isfinite(figures.equity):
        return Refusal(SkipReason.NO_READING, sentences.no_figure("follower", "equity"))
    if exact(figures.equity) <= stop:
        return Refusal(SkipReason.EQUITY_STOP, sentences.equity_stop(figures, stop))
    return None

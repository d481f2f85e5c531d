"""Planning what closes or changes: closes, stops, and pending orders that move or go."""

from dataclasses import replace
from decimal import Decimal
from typing import TypeGuard

from copytrade.core import sentences
from copytrade.core.closes import CloseLots, closable, partial_close
from copytrade.core.facts import FollowerSnapshot, HeldCopy, HeldPending, NetHolding
from copytrade.core.filters import ended
from copytrade.core.kinds import EventKind, HeldState, OrderKind, SkipReason
from copytrade.core.levels import changed_levels, changes_nothing, is_alike
from copytrade.core.occasion import Occasion
from copytrade.core.openings import pending_entry
from copytrade.core.plans import Plan, Planned, Refusal, skipped


def plan_close(occasion: Occasion, follower: FollowerSnapshot) -> Plan:
    """Plan the close of a copy, or of the part of it that the provider has closed."""
    is_closed = occasion.event.kind is EventKind.CLOSE
    if is_closed and follower.held is None and _waits(follower.pending):
        return _cancelled(follower, follower.pending)
    held = _held(occasion, follower)
    if isinstance(held, Refusal):
        return skipped(follower, held)
    is_cut = is_closed and held.state is HeldState.OPEN and held.closing_lots > 0
    if held.lots <= held.closing_lots:
        if is_cut:
            return _rest(follower, held)
        refusal = Refusal(SkipReason.UNCHANGED, sentences.unchanged("copy is being closed"))
        return skipped(follower, refusal, held.symbol)
    net = _net_of(follower, held)
    there = CloseLots(held.lots) if held.state is HeldState.OPENING else closable(held, net)
    if there.lots <= 0:
        if is_cut:
            return _rest(follower, held)
        refusal = Refusal(SkipReason.LEFT, sentences.left(held.symbol, held.lots))
        return skipped(follower, refusal, held.symbol)
    lots = _lots_to_close(occasion, follower, held, there.lots)
    if isinstance(lots, Refusal):
        return skipped(follower, lots, held.symbol)
    return _closed(follower, held, there, lots)


def plan_stops(occasion: Occasion, follower: FollowerSnapshot) -> Plan:
    """Plan the move of a copy's stop loss and take profit."""
    held = _held(occasion, follower)
    if isinstance(held, Refusal):
        return skipped(follower, held)
    net = _net_of(follower, held)
    if not follower.terms.copies_stops:
        refusal = Refusal(SkipReason.STOPS_OFF, sentences.stops_off(held.symbol))
        return skipped(follower, refusal, held.symbol)
    if net is not None and net.copies > 1:
        refusal = Refusal(SkipReason.STOPS_OFF, sentences.stops_shared(held.symbol, net.copies))
        return skipped(follower, refusal, held.symbol)
    contract = follower.contracts.get(held.symbol)
    if contract is None:
        refusal = Refusal(SkipReason.NO_READING, sentences.no_terms(held.symbol))
        return skipped(follower, refusal, held.symbol)
    scale = occasion.scale_of(contract)
    levels = changed_levels(
        follower.terms, occasion.event, contract, is_buy=held.is_buy, price_scale=scale
    )
    is_read = held.position_lots is not None or (net is not None and net.lots is not None)
    present = (held.stop_loss, held.take_profit)
    if levels == (None, None) or (is_read and changes_nothing(levels, present, contract.point)):
        refusal = Refusal(SkipReason.UNCHANGED, sentences.unchanged("stops are as they should be"))
        return skipped(follower, refusal, held.symbol)
    return Planned(
        relationship_id=follower.terms.id,
        account_id=follower.account_id,
        kind=OrderKind.MODIFY_POSITION,
        symbol=held.symbol,
        is_buy=held.is_buy,
        stop_loss=levels[0],
        take_profit=levels[1],
        position_ticket=held.ticket,
        waits_for_fill=held.state is HeldState.OPENING,
    )


def plan_pending_change(occasion: Occasion, follower: FollowerSnapshot) -> Plan:
    """Plan the move of a copied pending order."""
    pending = _pending(occasion, follower)
    if isinstance(pending, Refusal):
        return skipped(follower, pending)
    if pending.is_filled:
        refusal = Refusal(SkipReason.UNCHANGED, sentences.unchanged("copy of it was filled"))
        return skipped(follower, refusal, pending.symbol)
    contract = follower.contracts.get(pending.symbol)
    if contract is None:
        refusal = Refusal(SkipReason.NO_READING, sentences.no_terms(pending.symbol))
        return skipped(follower, refusal, pending.symbol)
    entry = pending_entry(occasion, follower.terms, contract, is_buy=pending.is_buy)
    levels = (entry.levels[0] or 0.0, entry.levels[1] or 0.0)
    is_there = (
        pending.price is not None
        and is_alike(pending.price, entry.order_price, contract.point)
        and is_alike(pending.stop_limit_price, entry.stop_limit_price, contract.point)
        and changes_nothing(levels, (pending.stop_loss, pending.take_profit), contract.point)
    )
    if is_there:
        refusal = Refusal(SkipReason.UNCHANGED, sentences.unchanged("order waits there"))
        return skipped(follower, refusal, pending.symbol)
    return Planned(
        relationship_id=follower.terms.id,
        account_id=follower.account_id,
        kind=OrderKind.MODIFY_ORDER,
        symbol=pending.symbol,
        is_buy=pending.is_buy,
        order_type=pending.order_type,
        price=entry.order_price,
        stop_limit_price=entry.stop_limit_price,
        stop_loss=levels[0],
        take_profit=levels[1],
        order_ticket=pending.ticket,
        waits_for_fill=pending.ticket is None,
    )


def plan_pending_cancel(occasion: Occasion, follower: FollowerSnapshot) -> Plan:
    """Plan the end of a copied pending order; one that the follower's broker filled is closed.

    No close will ever come for that one, for its provider has no such position.
    """
    pending = _pending(occasion, follower)
    if isinstance(pending, Refusal):
        return skipped(follower, pending)
    if not pending.is_filled:
        return _cancelled(follower, pending)
    return plan_close(occasion, follower)


def plan_pending_fill(occasion: Occasion, follower: FollowerSnapshot) -> Plan:
    """Say what a fill at the provider is for the follower: its own order fills by itself."""
    pending = _pending(occasion, follower)
    if isinstance(pending, Refusal):
        return skipped(follower, pending)
    text = "copy of it was filled" if pending.is_filled else "copy of it waits for its own fill"
    refusal = Refusal(SkipReason.UNCHANGED, sentences.unchanged(text))
    return skipped(follower, refusal, pending.symbol)


def _lots_to_close(
    occasion: Occasion, follower: FollowerSnapshot, held: HeldCopy, available: Decimal
) -> Decimal | Refusal:
    event = occasion.event
    if event.kind is not EventKind.PARTIAL_CLOSE or event.lots >= event.lots_before:
        return available
    contract = follower.contracts.get(held.symbol)
    if contract is None:
        return Refusal(SkipReason.NO_READING, sentences.no_terms(held.symbol))
    lots = partial_close(available, event.lots, event.lots_before, contract)
    if lots > 0:
        return lots
    part = available * event.lots / event.lots_before
    text = sentences.part_too_small(part, contract.volume_min, available)
    return Refusal(SkipReason.BELOW_MINIMUM, text)


def _closed(follower: FollowerSnapshot, held: HeldCopy, there: CloseLots, lots: Decimal) -> Planned:
    ticketed = there.lots - there.netted_lots
    return Planned(
        relationship_id=follower.terms.id,
        account_id=follower.account_id,
        kind=OrderKind.CLOSE,
        symbol=held.symbol,
        is_buy=not held.is_buy,
        lots=lots,
        position_ticket=held.ticket,
        # A netted ticket may hold what the follower trades by itself, or does until this is sent.
        closes_all=lots == there.lots and follower.nets is None,
        waits_for_fill=held.state is HeldState.OPENING,
        netted_lots=max(lots - ticketed, Decimal(0)),
    )


def _rest(follower: FollowerSnapshot, held: HeldCopy) -> Planned:
    """Plan the close of what closes of a part, which should take all, may leave: after them."""
    return replace(_closed(follower, held, CloseLots(held.lots), held.lots), waits_for_fill=True)


def _waits(pending: HeldPending | None) -> TypeGuard[HeldPending]:
    return pending is not None and not pending.is_filled


def _cancelled(follower: FollowerSnapshot, pending: HeldPending) -> Planned:
    return Planned(
        relationship_id=follower.terms.id,
        account_id=follower.account_id,
        kind=OrderKind.CANCEL,
        symbol=pending.symbol,
        is_buy=pending.is_buy,
        lots=pending.lots,
        order_type=pending.order_type,
        order_ticket=pending.ticket,
        waits_for_fill=pending.ticket is None,
    )


def _held(occasion: Occasion, follower: FollowerSnapshot) -> HeldCopy | Refusal:
    held = follower.held
    refusal = ended(occasion, follower.terms)
    if refusal is not None:
        return refusal
    if held is None or held.state in (HeldState.CLOSED, HeldState.KEPT):
        return Refusal(SkipReason.NOT_HELD, sentences.not_held(occasion.trade))
    if held.state is HeldState.LEFT:
        return Refusal(SkipReason.LEFT, sentences.left(held.symbol, held.lots))
    return held


def _pending(occasion: Occasion, follower: FollowerSnapshot) -> HeldPending | Refusal:
    refusal = ended(occasion, follower.terms)
    if refusal is not None:
        return refusal
    if follower.pending is not None:
        return follower.pending
    if not follower.terms.copies_pendings:
        return Refusal(SkipReason.PENDINGS_OFF, sentences.pendings_off(occasion.trade))
    return Refusal(SkipReason.NOT_HELD, sentences.not_held(occasion.trade))


def _net_of(follower: FollowerSnapshot, held: HeldCopy) -> NetHolding | None:
    """Return the netted position that a copy is part of; None on a hedging account."""
    if follower.nets is None:
        return None
    return follower.nets.get(held.symbol, NetHolding(None, held.lots, 1))

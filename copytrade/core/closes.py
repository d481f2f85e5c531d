"""How much of a copy closes with its provider's position."""

from decimal import Decimal
from typing import NamedTuple

from copytrade.core.facts import HeldCopy, NetHolding, SymbolContract

_NONE = Decimal(0)


class CloseLots(NamedTuple):
    """`lots` to close, `netted_lots` of them not held in the copy's direction."""

    lots: Decimal
    netted_lots: Decimal = _NONE


def closable(held: HeldCopy, net: NetHolding | None = None) -> CloseLots:
    """Return what of a copy is there to be closed: at most its part, at most what is held.

    On a netted position the copies add up, opposite ones as well. Closing a part moves the position
    from what all copies hold together towards what the others do, and no further: what the
    follower has closed by itself is not opened the other way. Without a reading the ledger counts.
    """
    ours = max(held.lots - held.closing_lots, _NONE)
    if net is None:
        there = held.position_lots
        return CloseLots(ours if there is None else min(ours, max(there, _NONE)))
    if net.lots is None:
        return CloseLots(ours)
    sign = 1 if held.is_buy else -1
    left = sign * net.lots - (sign * net.copied_lots - ours)
    lots = min(max(left, _NONE), ours)
    return CloseLots(lots, max(lots - max(sign * net.lots, _NONE), _NONE))


def partial_close(
    available: Decimal, closed: Decimal, before: Decimal, contract: SymbolContract
) -> Decimal:
    """Return how much of `available` lots closes when a provider closes `closed` of `before`.

    Rounded down to the step. What would be left below the smallest lot closes as well; 0 when only
    the part is below it. Source: DOMAIN.md, part 4.
    """
    if available <= 0 or closed <= 0:
        return _NONE
    if closed >= before:
        return available
    part = contract.floored(available * closed / before)
    if part > 0 and available - part < contract.volume_min:
        return available
    return part if part >= contract.volume_min else _NONE

"""What a run is to reach, kept in its options so that whoever takes it up wants the same.

A run that closes everything wants nothing left. Every other run decides at its first look which
volume each of its positions may keep; a part that was closed twice over is so impossible.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from risk.core.closing import Part
from risk.core.offending import Book, Offence, everything
from risk.core.responses import Response
from risk.core.rule_types import Action, ClosingOrder
from risk.models import Enforcement

TARGETS = "targets"
CANCELS = "cancels"
KEPT = "kept"
NO_CLOSE_BY = "no_close_by"
COPIED_LOTS = "copied_lots"
COPIED_ORDERS = "copied_orders"


def options_of(response: Response) -> dict[str, Any]:
    """Return what a run must remember of how its rule answers."""
    return {
        "lock": response.action is Action.CLOSE_ALL,
        "closing_order": response.closing_order.value,
        "losers_only": response.losers_only,
        "close_fraction": response.close_fraction,
    }


def response_of(run: Enforcement) -> Response:
    return Response(
        action=Action(run.action),
        closing_order=ClosingOrder(
            run.options.get("closing_order", ClosingOrder.LARGEST_LOSS_FIRST)
        ),
        losers_only=bool(run.options.get("losers_only", False)),
        close_fraction=float(run.options.get("close_fraction", 1.0)),
    )


def is_total(run: Enforcement) -> bool:
    """Tell whether a run wants nothing left, whatever else turns up."""
    response = response_of(run)
    return (
        response.action is Action.CLOSE_ALL
        and not response.losers_only
        and response.close_fraction >= 1
        and run.cause != Enforcement.Cause.LOCK
    )


def needs_targets(run: Enforcement) -> bool:
    is_chosen = TARGETS in run.options or run.cause == Enforcement.Cause.LOCK
    return not is_total(run) and not is_chosen


def targets_of(found: Offence, book: Book, handled: Collection[int]) -> dict[str, Any]:
    """Return as options what may stay of each offending position, and which orders go.

    `handled` are tickets of which an earlier run for the same breach has closed its part.
    """
    volumes = {position.ticket: position.volume for position in book.positions}
    return {
        TARGETS: {
            str(part.ticket): str(volumes[part.ticket] - part.volume)
            for part in found.parts
            if part.ticket not in handled
        },
        CANCELS: list(found.cancels),
    }


def copied_by(run: Enforcement, book: Book) -> Offence:
    """Return what of an account was copied, by its run; of a shared position only its part."""
    wanted = {int(ticket): Decimal(volume) for ticket, volume in run.options[COPIED_LOTS].items()}
    parts = tuple(
        Part(each.ticket, min(each.volume, wanted[each.ticket]))
        for each in book.positions
        if each.ticket in wanted
    )
    orders = {*run.options.get(COPIED_ORDERS, ())}
    return Offence(parts, tuple(each.ticket for each in book.orders if each.ticket in orders))


def left_by_others(book: Book, others: Iterable[Enforcement]) -> Book:
    """Return a book as other cascades on the account are about to leave it.

    Of a position that copies of several providers share each takes its part, whoever comes first;
    one that has chosen and not closed yet would otherwise take the part of the next with it.
    """
    left: dict[int, Decimal] = {}
    for run in others:
        if run.cause == Enforcement.Cause.CASCADE:
            for ticket, volume in run.options.get(TARGETS, {}).items():
                kept = Decimal(volume)
                left[int(ticket)] = min(left.get(int(ticket), kept), kept)
    positions = tuple(
        replace(each, volume=min(each.volume, left.get(each.ticket, each.volume)))
        for each in book.positions
    )
    return replace(book, positions=positions)


def still_to_do(run: Enforcement, book: Book) -> Offence:
    """Return what has to be closed and deleted before the run is where it wants to be."""
    if is_total(run):
        return everything(book, Response(action=Action.CLOSE_ALL))
    cancels = {order.ticket for order in book.orders}
    if run.cause == Enforcement.Cause.LOCK:
        allowed = {int(k): Decimal(v) for k, v in run.options.get(KEPT, {}).items()}
        targets = {each.ticket: allowed.get(each.ticket, Decimal(0)) for each in book.positions}
    else:
        targets = {int(k): Decimal(v) for k, v in run.options.get(TARGETS, {}).items()}
        if run.action != Enforcement.Action.CLOSE_ALL:
            cancels &= set(run.options.get(CANCELS, ()))
    parts = tuple(
        Part(each.ticket, each.volume - targets[each.ticket])
        for each in book.positions
        if each.ticket in targets and each.volume > targets[each.ticket]
    )
    return Offence(parts, tuple(sorted(cancels)))


def kept_by(run: Enforcement) -> dict[str, str]:
    """Return what a CLOSE_ALL that spared something left open, for the lock after it."""
    targets: dict[str, str] = run.options.get(TARGETS, {})
    spared: dict[str, str] = run.options.get("spared", {})
    return {**spared, **{ticket: lots for ticket, lots in targets.items() if Decimal(lots) > 0}}


def spared_by(found: Offence, book: Book) -> dict[str, str]:
    """Return the positions that are not among what was found, with their volumes."""
    taken = {part.ticket for part in found.parts}
    return {
        str(each.ticket): str(each.volume) for each in book.positions if each.ticket not in taken
    }

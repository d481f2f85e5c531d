"""Orders as people and programs ask for them; the account's host sends them, nothing here does."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.models import ConnectedAccount, User
from accounts.models.connection import ConnectionState
from accounts.refusals import Refusal
from accounts.symbol_terms import SymbolTerms
from accounts.task_messages import TaskMessage, enqueue
from notifications.services import notify
from risk.models import Order
from risk.notices.orders import order_messages
from risk.orders.drafts import draft
from risk.orders.outcomes import expired
from risk.services.order_errors import (
    Errors,
    expiry_errors,
    key_errors,
    placing_errors,
    price_errors,
    raise_errors,
    ticket_errors,
    volume_errors,
)

# An open that was not sent by then is not sent any more; a close gets more time.
OPEN_SECONDS = 10.0
CLOSE_SECONDS = 60.0
# A host that is watched ends its orders by itself, and knows better why.
_GRACE = timedelta(seconds=5)
_MESSAGE_SECONDS = 5.0
_LOOK_SECONDS = 0.04
_UNDECIDED = (Order.State.PENDING, Order.State.SENT)
_LOST_SENTENCE = "The order came too late to be sent: nobody watches the account now."


def place_order(
    *,
    account: ConnectedAccount,
    user: User,
    origin: str,
    symbol: str,
    direction: str,
    type: str = Order.Type.MARKET,  # noqa: A002 (the name that traders and clients use)
    volume: Decimal,
    price: float | None = None,
    stop_limit_price: float | None = None,
    stop_loss: float | None = None,
    take_profit: float | None = None,
    deviation_points: int | None = None,
    valid_until_at: datetime | None = None,
    idempotency_key: str | None = None,
    terms: SymbolTerms | None = None,
    now: datetime,
) -> Order:
    """Ask for a position or a pending order; the host's gate decides, and sends it.

    With the symbol's `terms`, as far as they are known, volume and stops are checked at once.
    Raises ValidationError with the fields named, Refusal when the account cannot trade or the key
    was used for another order.
    """
    fields: dict[str, Any] = {
        "symbol": symbol,
        "direction": direction,
        "type": type,
        "requested_volume": volume,
        "price": price,
        "stop_limit_price": stop_limit_price,
        "stop_loss": stop_loss or None,
        "take_profit": take_profit or None,
        "deviation_points": deviation_points,
        "valid_until_at": valid_until_at,
    }
    kind = Order.Kind.OPEN if type == Order.Type.MARKET else Order.Kind.PLACE
    asked = _Asked(kind, origin, fields, placing_errors(fields, terms, now), OPEN_SECONDS)
    return _ask_for(account, user, asked, idempotency_key, now)


def modify_order(
    *,
    account: ConnectedAccount,
    user: User,
    ticket: int,
    origin: str = Order.Origin.TICKET,
    price: float | None = None,
    stop_limit_price: float | None = None,
    stop_loss: float | None = None,
    take_profit: float | None = None,
    valid_until_at: datetime | None = None,
    idempotency_key: str | None = None,
    now: datetime,
) -> Order:
    """Ask for a change of a pending order; None leaves a value as it is, 0 takes a stop away."""
    fields: dict[str, Any] = {
        "price": price,
        "stop_limit_price": stop_limit_price,
        "stop_loss": stop_loss,
        "take_profit": take_profit,
        "valid_until_at": valid_until_at,
    }
    errors = ticket_errors(ticket) | price_errors(fields, may_be_zero=True)
    errors |= expiry_errors(fields, now)
    if not errors and all(value is None for value in fields.values()):
        errors = {"price": "Say what to change."}
    fields["order_ticket"] = ticket
    asked = _Asked(Order.Kind.MODIFY_ORDER, origin, fields, errors)
    return _ask_for(account, user, asked, idempotency_key, now)


def cancel_order(
    *,
    account: ConnectedAccount,
    user: User,
    ticket: int,
    origin: str = Order.Origin.TICKET,
    idempotency_key: str | None = None,
    now: datetime,
) -> Order:
    """Ask for a pending order to be deleted."""
    asked = _Asked(Order.Kind.CANCEL, origin, {"order_ticket": ticket}, ticket_errors(ticket))
    return _ask_for(account, user, asked, idempotency_key, now)


def close_position(
    *,
    account: ConnectedAccount,
    user: User,
    ticket: int,
    volume: Decimal | None = None,
    origin: str = Order.Origin.TICKET,
    idempotency_key: str | None = None,
    now: datetime,
) -> Order:
    """Ask for a position to be closed, or `volume` lots of it, rounded down to a whole step.

    What would be left below the smallest volume is closed with it.
    """
    errors = ticket_errors(ticket)
    if volume is not None:
        errors |= volume_errors(volume)
    fields = {"position_ticket": ticket, "requested_volume": volume}
    asked = _Asked(Order.Kind.CLOSE, origin, fields, errors)
    return _ask_for(account, user, asked, idempotency_key, now)


def modify_position(
    *,
    account: ConnectedAccount,
    user: User,
    ticket: int,
    stop_loss: float | None = None,
    take_profit: float | None = None,
    origin: str = Order.Origin.TICKET,
    idempotency_key: str | None = None,
    now: datetime,
) -> Order:
    """Ask for other stops of a position; None leaves one as it is, 0 takes it away."""
    fields: dict[str, Any] = {"stop_loss": stop_loss, "take_profit": take_profit}
    errors = ticket_errors(ticket) | price_errors(fields, may_be_zero=True)
    if not errors and stop_loss is None and take_profit is None:
        errors = {"stop_loss": "Say which stop to change."}
    fields["position_ticket"] = ticket
    asked = _Asked(Order.Kind.MODIFY_POSITION, origin, fields, errors)
    return _ask_for(account, user, asked, idempotency_key, now)


def await_outcome(order: Order, *, timeout_seconds: float = 2.0) -> Order:
    """Return the order as soon as its host has decided, or as it is when the time is up.

    Not to be called inside of a transaction: it would never see the host's writing.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        order.refresh_from_db()
        if order.state not in _UNDECIDED or time.monotonic() >= deadline:
            return order
        time.sleep(_LOOK_SECONDS)


def expire_orders(*, now: datetime) -> int:
    """End what was not sent in time on hosts that nobody watches; return how many that were."""
    pending = Order.objects.filter(state=Order.State.PENDING)
    overdue = pending.filter(send_by_at__lte=now - _GRACE).order_by("pk")
    outcome = expired(now)
    with transaction.atomic():
        ended = list(overdue.select_for_update(of=["self"]))
        for order in ended:
            outcome.put_on(order)
            order.message = _LOST_SENTENCE
        Order.objects.bulk_update(ended, [*outcome.values()])
        notify(order_messages(ended), now=now)
    return len(ended)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What somebody asks for, and what is wrong with it at this moment."""

    kind: str
    origin: str
    fields: Mapping[str, Any]
    errors: Errors
    seconds: float = CLOSE_SECONDS


def _ask_for(
    account: ConnectedAccount, user: User, asked: _Asked, key: str | None, now: datetime
) -> Order:
    """Write an order once and wake its host; the same key gives the order that it gave before.

    Also when the same words would be refused by now: prices move while an answer is lost.
    """
    digest = _digest(account.pk, asked.kind, asked.fields)
    if key is not None:
        raise_errors(key_errors(key))
        known = _known(account, key, digest)
        if known is not None:
            return known
    raise_errors(asked.errors)
    _refuse_untradable(account)
    order = draft(
        account,
        asked.kind,
        host=account.terminal_host_id,
        origin=asked.origin,
        now=now,
        requested_by_id=user.pk,
        idempotency_key=key,
        request_digest=digest,
        send_by_at=now + timedelta(seconds=asked.seconds),
        **asked.fields,
    )
    try:
        with transaction.atomic():
            order.save(force_insert=True)
    except IntegrityError:
        known = _known(account, key, digest) if key is not None else None
        if known is None:
            raise
        return known
    host = account.terminal_host_id
    message = TaskMessage("risk.serve", [host], f"terminals.{host}", _MESSAGE_SECONDS)
    # Robust: should the message be lost, the next tick finds the order by itself.
    transaction.on_commit(lambda: enqueue(message), robust=True)
    return order


def _known(account: ConnectedAccount, key: str, digest: str) -> Order | None:
    order = Order.objects.filter(user_id=account.user_id, idempotency_key=key).first()
    if order is not None and order.request_digest != digest:
        raise Refusal(
            "This idempotency key was used for another order.", code="idempotency_conflict"
        )
    return order


def _digest(account_id: UUID, kind: str, fields: Mapping[str, Any]) -> str:
    said = {name: _canonical(value) for name, value in fields.items() if value is not None}
    content = json.dumps([str(account_id), str(kind), said], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _canonical(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _refuse_untradable(account: ConnectedAccount) -> None:
    if not account.is_active:
        raise Refusal("The account is inactive; activate it first.", code="inactive")
    connection = getattr(account, "connection", None)
    if connection is None or not connection.is_wanted:
        raise Refusal("The account is not connected; connect it first.", code="not_connected")
    if connection.state == ConnectionState.ERROR:
        raise Refusal(
            f"The account is not connected: {connection.last_error or 'its terminal is silent.'}",
            code="not_connected",
        )

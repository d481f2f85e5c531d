"""Relationships and what they hold, made with as few words as possible."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from django.utils import timezone

from accounts.models import ConnectedAccount
from accounts.tests.factories import NOW
from copytrade.core.kinds import EventKind
from copytrade.models import CopyBatch, CopyEvent, CopyOrder, CopyPosition, CopyRelationship
from risk.models import Order
from risk.orders.drafts import draft

_tickets = count(1_000)


def make_relationship(
    provider: ConnectedAccount, follower: ConnectedAccount, **fields: Any
) -> CopyRelationship:
    """Create a relationship that copies, unless told otherwise."""
    told: dict[str, Any] = {
        "alias": "Follower 1",
        "state": CopyRelationship.State.ACTIVE,
        "created_by_id": provider.user_id,
        "created_at": NOW,
        "terms_changed_at": NOW,
        "state_changed_at": NOW,
        "started_at": NOW,
    }
    return CopyRelationship.objects.create(
        provider=provider, follower=follower, **{**told, **fields}
    )


def make_position(relationship: CopyRelationship, **fields: Any) -> CopyPosition:
    """Create an open copy of 0.23 lots of EURUSD, of a lot that the provider has."""
    told: dict[str, Any] = {
        "provider_position": next(_tickets),
        "provider_volume": Decimal(1),
        "follower_position": next(_tickets),
        "symbol": "EURUSD",
        "direction": "buy",
        "volume": Decimal("0.23"),
        "state": CopyPosition.State.OPEN,
        "opened_at": NOW,
    }
    return CopyPosition.objects.create(
        relationship_id=relationship.pk,
        provider_id=relationship.provider_id,
        follower_id=relationship.follower_id,
        **{**told, **fields},
    )


def make_event(relationship: CopyRelationship, kind: EventKind, **fields: Any) -> CopyEvent:
    told: dict[str, Any] = {
        "id": uuid.uuid4(),
        "provider_id": relationship.provider_id,
        "provider_name": relationship.provider.name,
        "symbol": "EURUSD",
        "happened_at": NOW,
        "detected_at": NOW,
    }
    return CopyEvent.objects.create(kind=kind, **{**told, **fields})


def make_copy(relationship: CopyRelationship, event: CopyEvent, **fields: Any) -> CopyOrder:
    told: dict[str, Any] = {"state": CopyOrder.State.DONE, "planned_at": NOW}
    return CopyOrder.objects.create(
        event_id=event.pk,
        relationship_id=relationship.pk,
        provider_id=relationship.provider_id,
        follower_id=relationship.follower_id,
        **{**told, **fields},
    )


def make_waiting_copy(
    relationship: CopyRelationship, *, now: datetime = NOW
) -> tuple[CopyEvent, Order]:
    """Create a copied pending order that waits at the follower's broker."""
    event = make_event(relationship, EventKind.PENDING_PLACED, order_ticket=next(_tickets))
    order = draft(
        relationship.follower,
        Order.Kind.PLACE,
        host=relationship.follower.terminal_host_id,
        origin=Order.Origin.COPY,
        now=now,
        symbol="EURUSD",
        direction="buy",
        type="limit",
        requested_volume=Decimal("0.23"),
        volume=Decimal("0.23"),
        state=Order.State.PLACED,
        order_ticket=next(_tickets),
    )
    order.save(force_insert=True)
    make_copy(relationship, event, order_id=order.pk)
    return event, order


def make_batch(age_seconds: float, *, is_unfolded: bool = False) -> CopyBatch:
    now = timezone.now()
    return CopyBatch.objects.create(
        id=uuid.uuid4(),
        event_id=uuid.uuid4(),
        provider_id=uuid.uuid4(),
        host="local",
        number=0,
        payload=b"" if is_unfolded else b"\xc1secret-payload",
        created_at=now - timedelta(seconds=age_seconds),
        unfolded_at=now if is_unfolded else None,
    )

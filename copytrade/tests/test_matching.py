"""Which copies of a netted position that turned round a close of its provider is about."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from copytrade.core.kinds import EventKind
from copytrade.keeping.matching import Matches
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from risk.models import Order

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
PROVIDER, RELATIONSHIP, FOLLOWER = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
TICKET = 77


def event(kind: EventKind, deal: int, direction: str) -> CopyEvent:
    return CopyEvent.objects.create(
        id=uuid.uuid4(), provider_id=PROVIDER, provider_name="Provider", kind=kind,
        symbol="EURUSD", direction=direction, order_type="market", volume=Decimal(1),
        position_ticket=TICKET, deal_ticket=deal, happened_at=NOW, detected_at=NOW,
    )  # fmt: skip


def copied(of: CopyEvent) -> CopyOrder:
    return CopyOrder.objects.create(
        event_id=of.pk, relationship_id=RELATIONSHIP, provider_id=PROVIDER,
        follower_id=FOLLOWER, planned_at=NOW, state=CopyOrder.State.PLANNED,
    )  # fmt: skip


def opened(deal: int, direction: str, **fields: Any) -> CopyPosition:
    return CopyPosition.objects.create(
        pk=copied(event(EventKind.OPEN, deal, direction)).pk, relationship_id=RELATIONSHIP,
        provider_id=PROVIDER, follower_id=FOLLOWER, provider_position=TICKET, turn=deal,
        provider_volume=Decimal(1), volume=Decimal(1), symbol="EURUSD", direction=direction,
        opened_at=NOW + timedelta(seconds=deal), **fields,
    )  # fmt: skip


@pytest.mark.parametrize(
    "leaving", [{"state": "closing"}, {"state": "opening", "closes_on_fill": True}]
)
def test_a_close_is_not_about_what_was_opened_after_it(leaving: dict[str, Any]) -> None:
    # All in the same moment: the deal that closes the bought one opens the sold one.
    bought = opened(1, "buy", **leaving)
    first = copied(event(EventKind.CLOSE, 2, "buy"))
    sold = opened(2, "sell", **leaving)
    second = copied(event(EventKind.CLOSE, 3, "sell"))
    matches = Matches([first, second])
    assert matches.closed_by(first, None) == [bought]
    assert matches.to_close(second, None) == [sold]
    # Should it have been ordered for the other one as well.
    assert matches.closed_by(second, None) == [sold, bought]
    assert matches.closed_by(second, Order(direction="sell")) == [bought]


def test_a_part_is_not_about_what_an_earlier_close_is_to_close() -> None:
    opened(1, "sell", state="closing")
    event(EventKind.CLOSE, 2, "sell")
    opened(2, "buy", state="closing")
    event(EventKind.CLOSE, 3, "buy")
    sold = opened(3, "sell", state="open")
    part = copied(event(EventKind.PARTIAL_CLOSE, 4, "sell"))
    assert Matches([part]).closed_by(part, None) == [sold]
    event(EventKind.CLOSE, 5, "sell")
    opened(5, "sell", state="open")
    assert Matches([part]).closed_by(part, None) == [sold]


def test_what_a_pending_order_has_opened_counts_from_its_fill() -> None:
    placed = event(EventKind.PENDING_PLACED, 0, "sell")
    opened(1, "buy", state="closed")
    event(EventKind.CLOSE, 2, "buy")
    sold = opened(2, "sell", state="open")
    filled = event(EventKind.OPEN, 3, "sell")
    CopyEvent.objects.filter(pk__in=[placed.pk, filled.pk]).update(order_ticket=78)
    by_order = opened(4, "sell", state="open")
    CopyOrder.objects.filter(pk=by_order.pk).update(event_id=placed.pk)
    part = copied(event(EventKind.PARTIAL_CLOSE, 5, "sell"))
    assert Matches([part]).closed_by(part, None) == [sold, by_order]

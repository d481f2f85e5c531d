"""Which copies of a netted position that turned round a close of its provider is about."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from copytrade.core.kinds import EventKind
from copytrade.keeping.matching import Matches
from copytrade.models import CopyEvent, CopyOrder, CopyPosition

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
    assert matches.closed_by(second, None) == [bought, sold]

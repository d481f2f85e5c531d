"""Copies of one position that have a ticket each."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from accounts.models import User
from copytrade.core.kinds import EventKind
from copytrade.models import CopyPosition
from risk.models import Order
from tradeguard.tests.copying_stage import (
    close,
    copy,
    event_of,
    follows,
    held,
    without_keeper,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE = Decimal("1.00")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def test_a_close_begins_with_a_ticket_that_is_there(stage: Stage, alice: User) -> None:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    follows(provider, follower)
    stage.run(3)
    without_keeper(stage)
    for turn, before in enumerate((Decimal(0), ONE)):
        copy(stage, event_of(stage, provider, EventKind.OPEN, 77, volume_before=before))
        opened = Order.objects.latest("created_at", "tag")
        rows = CopyPosition.objects.filter(turn=turn)
        rows.update(follower_position=opened.order_ticket, state="open")
        stage.run(3, seconds=1.0)
    assert held(stage, [follower]) == [[ONE, ONE]]
    first, second = CopyPosition.objects.order_by("turn").values_list(
        "follower_position", flat=True
    )
    assert first is not None
    close(stage, follower, first)
    stage.run(5, seconds=1.0)

    two = {"volume": 2 * ONE, "volume_before": 2 * ONE}
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77, **two))
    order = Order.objects.get(kind="close")
    assert (order.position_ticket, order.state) == (second, "filled")
    assert held(stage, [follower]) == [[]]

"""Which orders a reading may not show: they count as filled for the next one."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from accounts.models import User
from risk.models import Order
from risk.orders.flights import orders_in_flight
from risk.tests.order_stage import START

pytestmark = pytest.mark.django_db
State, Kind = Order.State, Order.Kind
ACCOUNT = UUID(int=1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def order(user: User, tag: int, **fields: object) -> Order:
    return Order.objects.create(**{
        "tag": tag, "user_id": user.pk, "account_id": ACCOUNT, "account_name": "Bold",
        "host": "local", "server": "Example-Demo", "login": 1, "kind": Kind.OPEN,
        "origin": "ticket", "created_at": START, **fields,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"state": State.SENT}, True),
        ({"state": State.UNKNOWN, "answered_at": at(-60)}, True),
        ({"state": State.PENDING}, False),
        ({"state": State.FILLED, "answered_at": at(1)}, True),
        ({"state": State.FILLED, "answered_at": at(0)}, True),
        ({"state": State.FILLED, "answered_at": at(-1)}, True),
        ({"state": State.FILLED, "answered_at": at(-1.001)}, False),
        ({"state": State.FILLED, "answered_at": at(-60), "reconciled_at": at(0)}, True),
        ({"state": State.FILLED, "reconciled_at": at(0)}, True),  # its worker had died
        ({"state": State.PARTIAL, "answered_at": at(0)}, True),
        ({"state": State.PLACED, "answered_at": at(0), "kind": Kind.PLACE}, True),
        ({"state": State.FILLED, "answered_at": at(0), "kind": Kind.CLOSE}, True),
        ({"state": State.FILLED, "answered_at": at(0), "kind": Kind.MODIFY_POSITION}, False),
        ({"state": State.REJECTED, "answered_at": at(0)}, False),
        ({"state": State.SENT, "account_id": uuid4()}, False),
    ],
)
def test_it_counts_what_the_reading_may_not_show(
    alice: User, fields: dict[str, object], counts: bool
) -> None:
    one = order(alice, 1, **fields)
    assert orders_in_flight(ACCOUNT, START.timestamp()) == ([one] if counts else [])


def test_without_a_reading_all_that_ever_ended_counts(alice: User) -> None:
    one = order(alice, 1, state=State.FILLED, answered_at=at(-9_999))
    assert orders_in_flight(ACCOUNT, float("nan")) == [one]

"""What may be in the market without a reading showing it, out of all that a host ever ordered."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from copytrade.replication.flights import Flights
from risk.gate.intents import SETTLING_SECONDS
from risk.models import Order
from risk.orders.drafts import new_tag

pytestmark = pytest.mark.django_db

READ_AT = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
SINCE = READ_AT - timedelta(seconds=SETTLING_SECONDS)
LONG_AGO = READ_AT - timedelta(days=1)
BARELY = timedelta(microseconds=1)


def write(**fields: Any) -> UUID:
    order = Order(
        **{
            "id": uuid4(),
            "tag": new_tag(),
            "user_id": 1,
            "account_id": uuid4(),
            "account_name": "Follower",
            "login": 1,
            "host": "local",
            "kind": Order.Kind.OPEN,
            "symbol": "EURUSD",
            "created_at": LONG_AGO,
            **fields,
        }
    )
    order.save(force_insert=True)
    return order.pk


@pytest.mark.parametrize(
    ("fields", "is_found"),
    [
        ({"state": "pending"}, True),
        ({"state": "sent"}, True),
        ({"state": "unknown"}, True),
        ({"state": "sent", "host": "other"}, False),
        ({"state": "filled", "answered_at": SINCE}, True),
        ({"state": "filled", "answered_at": SINCE + BARELY}, True),
        ({"state": "filled", "answered_at": SINCE - BARELY}, False),
        ({"state": "partial", "answered_at": SINCE}, True),
        ({"state": "placed", "answered_at": SINCE}, True),
        ({"state": "rejected", "answered_at": SINCE}, False),
        ({"state": "filled", "answered_at": LONG_AGO, "reconciled_at": SINCE}, True),
        ({"state": "filled", "answered_at": None, "reconciled_at": SINCE}, True),
        ({"state": "filled", "answered_at": LONG_AGO, "reconciled_at": SINCE - BARELY}, False),
        ({"state": "filled", "answered_at": SINCE, "host": "other"}, False),
    ],
)
def test_it_finds_what_a_reading_may_not_show(fields: dict[str, Any], is_found: bool) -> None:
    written = write(**fields)
    flights = Flights.on_host("local", READ_AT.timestamp())
    assert [order.pk for order in flights.orders] == [written] * is_found


def test_it_finds_each_once_oldest_first() -> None:
    both = {"state": "filled", "answered_at": READ_AT, "reconciled_at": READ_AT}
    newer, older = write(state="sent", created_at=READ_AT), write(**both)
    flights = Flights.on_host("local", READ_AT.timestamp())
    assert [order.pk for order in flights.orders] == [older, newer]


def test_it_finds_more_than_a_statement_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copytrade.replication.flights._MOST_IDS", 2)
    written = {write(state="sent") for _ in range(5)}
    flights = Flights.on_host("local", READ_AT.timestamp())
    assert {order.pk for order in flights.orders} == written


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's planner alone is told apart")
def test_it_does_not_look_at_all_that_a_host_ever_had() -> None:
    asked: list[tuple[str, Any]] = []

    def noted(execute: Any, sql: str, words: Any, *rest: Any) -> Any:
        asked.append((sql, words))
        return execute(sql, words, *rest)

    with connection.execute_wrapper(noted):
        Flights.on_host("local", READ_AT.timestamp())
    ((sql, words),) = asked
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", words)
        plan = " ".join(str(row[3]) for row in cursor.fetchall())
    assert "risk_order_of_host (host=? AND state=?)" in plan
    assert "risk_order_answered (host=? AND answered_at>?)" in plan
    assert "risk_order_reconciled (host=? AND reconciled_at>?)" in plan


CONCERNED, ANOTHER = 77, 78


@pytest.mark.parametrize(
    ("fields", "is_shown"),
    [
        ({"kind": "close", "position_ticket": ANOTHER}, True),
        ({"kind": "close", "position_ticket": CONCERNED}, False),
        ({"kind": "close", "position_ticket": None}, False),
        ({"kind": "close_by", "position_ticket": ANOTHER, "opposite_ticket": CONCERNED}, False),
        ({"kind": "close_by", "position_ticket": ANOTHER, "opposite_ticket": 79}, True),
        ({"kind": "modify_position", "position_ticket": ANOTHER}, True),
        ({"kind": "modify_position", "position_ticket": CONCERNED}, False),
        ({"kind": "open", "order_ticket": ANOTHER}, False),
        ({"kind": "cancel", "order_ticket": ANOTHER}, False),
    ],
)
@pytest.mark.parametrize("state", ["sent", "filled"])
def test_a_position_is_shown_once_what_may_have_changed_it_is(
    fields: dict[str, Any], is_shown: bool, state: str
) -> None:
    account_id, answered_at = uuid4(), READ_AT if state == "filled" else None
    write(account_id=account_id, state=state, answered_at=answered_at, **fields)
    read_at = READ_AT.timestamp()
    flights = Flights.on_host("local", read_at)
    assert flights.are_shown_by(account_id, read_at, ticket=CONCERNED) is is_shown
    assert not flights.are_shown_by(account_id, read_at)
    assert flights.are_shown_by(account_id, read_at + 1, ticket=CONCERNED) is (
        is_shown or state == "filled"
    )

"""Plain ends are found by their keys, whatever PostgreSQL believes that there is of each state."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from copytrade.core.kinds import EventKind
from copytrade.keeping import plain
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from risk.models import Order

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
FOLLOWERS = 500
ASKED = 100
# However the tables are joined, each row is read a few times; the wrong way it is 600.
FEW = 20


@pytest.fixture(autouse=True)
def postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite does not count what is in its tables")


def copied(kind: EventKind, position: int = 77) -> list[UUID]:
    """Write an event and a copy of it for each follower; return the orders."""
    event = CopyEvent.objects.create(
        id=uuid4(), provider_id=PROVIDER, kind=kind, position_ticket=position,
        happened_at=NOW, detected_at=NOW,
    )  # fmt: skip
    orders = [
        Order(
            tag=event.pk.int % 2**60 + number, user_id=1, account_id=follower,
            host="local", login=number, kind=kind, origin=Order.Origin.COPY,
            direction="buy" if kind == EventKind.OPEN else "sell", state=Order.State.FILLED,
            filled_volume=1, created_at=NOW, answered_at=NOW,
        )
        for number, follower in enumerate(RELATIONSHIPS)
    ]  # fmt: skip
    copies = [
        CopyOrder(
            event_id=event.pk, relationship_id=one, provider_id=PROVIDER, follower_id=one,
            order_id=order.pk, planned_at=NOW, state=CopyOrder.State.ORDERED,
        )
        for one, order in zip(RELATIONSHIPS, orders, strict=True)
    ]  # fmt: skip
    Order.objects.bulk_create(orders)
    CopyOrder.objects.bulk_create(copies)
    if kind == EventKind.OPEN:
        CopyPosition.objects.bulk_create(
            CopyPosition(
                id=copy.pk, relationship_id=copy.relationship_id, provider_id=PROVIDER,
                follower_id=copy.follower_id, provider_position=position, provider_volume=1,
                direction="buy", volume=1, opened_at=NOW,
            )
            for copy in copies
        )  # fmt: skip
    return [order.pk for order in orders]


PROVIDER = uuid4()
RELATIONSHIPS = [uuid4() for _ in range(FOLLOWERS)]


def rows_read(node: dict[str, Any]) -> Iterator[float]:
    """Yield how many rows each step of a plan has looked at."""
    left_out = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    yield (node["Actual Rows"] + left_out) * node["Actual Loops"]
    for child in node.get("Plans", ()):
        yield from rows_read(child)


def read_by(monkeypatch: pytest.MonkeyPatch, work: Any, orders: list[UUID]) -> float:
    """Return how many rows are read to find the ends of these orders."""
    statement = plain._statement
    with monkeypatch.context() as patch:
        patch.setattr(
            plain,
            "_statement",
            lambda *given: "EXPLAIN (ANALYZE, FORMAT JSON) " + statement(*given),
        )
        patch.setattr(plain, "_told", lambda rows: iter(rows))
        [(told,)] = work(orders)
    [plan] = json.loads(told) if isinstance(told, str) else told
    return sum(rows_read(plan["Plan"]))


@pytest.fixture
def done() -> None:
    """Have a crowd's open taken in, and counted, before anything else comes."""
    copied(EventKind.OPEN)
    CopyOrder.objects.update(state=CopyOrder.State.DONE, answered_at=NOW)
    CopyPosition.objects.update(state=CopyPosition.State.OPEN)
    with connection.cursor() as cursor:
        for model in (CopyEvent, CopyOrder, CopyPosition, Order):
            cursor.execute(f"ANALYZE {plain._table(model)}")


@pytest.mark.usefixtures("done")
def test_closes_are_found_though_none_was_there_when_it_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders = copied(EventKind.CLOSE)
    CopyPosition.objects.update(state=CopyPosition.State.CLOSING)
    assert len(plain._closed(orders[:ASKED])) == ASKED
    assert read_by(monkeypatch, plain._closed, orders[:ASKED]) < FEW * FOLLOWERS


@pytest.mark.usefixtures("done")
def test_opens_are_found_though_none_was_there_when_it_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders = copied(EventKind.OPEN, 78)
    assert len(plain._opened(orders[:ASKED])) == ASKED
    assert read_by(monkeypatch, plain._opened, orders[:ASKED]) < FEW * FOLLOWERS


class NoSlippage:
    def learn(self, *_: Any) -> None:
        return None

    def of(self, *_: Any) -> tuple[None, None]:
        return None, None


def most_read_by_a_change(monkeypatch: pytest.MonkeyPatch, orders: list[UUID]) -> float:
    """Return how many rows the costliest statement reads that writes one end."""
    found: list[float] = []

    def explained(statement: str, rows: Any) -> bool:
        with connection.cursor() as cursor:
            for row in rows:
                cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement, row)
                [(told,)] = cursor.fetchall()
                [plan] = json.loads(told) if isinstance(told, str) else told
                found.append(sum(rows_read(plan["Plan"])))
        return True

    slippages: Any = NoSlippage()
    with monkeypatch.context() as patch:
        patch.setattr(plain, "_are_all_changed", explained)
        assert len(plain.settle_plain(orders, NOW, slippages=slippages, tickets={})) == len(orders)
    assert len(found) == 2 * len(orders)
    return max(found)


@pytest.mark.usefixtures("done")
def test_ends_of_opens_are_written_by_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = copied(EventKind.OPEN, 78)
    assert most_read_by_a_change(monkeypatch, orders[:ASKED]) < FEW


@pytest.mark.usefixtures("done")
def test_ends_of_closes_are_written_by_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = copied(EventKind.CLOSE)
    CopyPosition.objects.update(state=CopyPosition.State.CLOSING)
    assert most_read_by_a_change(monkeypatch, orders[:ASKED]) < FEW

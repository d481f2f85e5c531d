"""A packed batch is the rows that it was packed from, in memory and in the database."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from django.db.models import Model

from copytrade.core.facts import RelationshipTerms
from copytrade.models import CopyOrder, CopyPosition
from copytrade.replication.followers import Follower, FollowerAccount
from copytrade.replication.inserts import insert_columns
from copytrade.replication.packing import pack, unpack
from copytrade.replication.rows import Copy
from risk.models import Order

NOW = datetime(2026, 11, 18, 12, 0, 0, 123456, tzinfo=UTC)
EVENT, PROVIDER = uuid.uuid4(), uuid.uuid4()


def copy_number(number: int) -> Copy:
    """Return a copy: each third one is skipped, and of the others each second one is a close."""
    relationship, follower = uuid.uuid4(), uuid.uuid4()
    account = FollowerAccount(follower, 7, "F", "S", 100 + number, "local", "USD", "UTC")
    row = CopyOrder(
        id=uuid.uuid4(),
        event_id=EVENT,
        relationship_id=relationship,
        provider_id=PROVIDER,
        follower_id=follower,
        symbol="EURUSD",
        planned_at=NOW,
    )
    made = Copy(Follower(RelationshipTerms(id=relationship), account), row)
    if number % 3 == 2:
        row.state, row.reason, row.ended_at = CopyOrder.State.SKIPPED, "late", NOW
        row.sentence = f"Tab\tback\\slash {number} é"
        return made
    row.state, row.order_id = CopyOrder.State.ORDERED, uuid.uuid4()
    row.volume = Decimal("0.10") * (number + 1)
    row.sent_at = NOW + timedelta(microseconds=number)
    made.order = Order(
        id=row.order_id,
        tag=(0x5447 << 38) + number,
        origin=Order.Origin.COPY,
        user_id=7,
        account_id=follower,
        account_name=f"Follower {number}",
        host="local",
        server="Example-Demo",
        login=100 + number,
        kind=Order.Kind.CLOSE if number % 2 else Order.Kind.OPEN,
        state=Order.State.SENT,
        symbol="EURUSD",
        direction=Order.Direction.BUY,
        volume=row.volume,
        stop_loss=1.05 if number % 2 else None,
        created_at=NOW,
        sent_at=row.sent_at,
        gated_at=None if number % 2 else NOW,
    )
    if not number % 2:
        made.position = CopyPosition(
            id=row.id,
            relationship_id=relationship,
            provider_id=PROVIDER,
            follower_id=follower,
            provider_position=77,
            provider_volume=Decimal(1),
            symbol="EURUSD",
            direction="buy",
            volume=row.volume,
            opened_at=NOW,
        )
    return made


def by_id(rows: Any) -> dict[uuid.UUID, list[Any]]:
    return {row.pk: [getattr(row, one.attname) for one in row._meta.concrete_fields]
            for row in rows}  # fmt: skip


def parts_of(copies: list[Copy]) -> dict[type[Model], list[Any]]:
    return {
        CopyOrder: [copy.row for copy in copies],
        Order: [copy.order for copy in copies if copy.order is not None],
        CopyPosition: [copy.position for copy in copies if copy.position is not None],
    }


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 2, 3, 26, 50])
def test_a_batch_is_read_as_it_was_packed(count: int) -> None:
    copies = [copy_number(number) for number in range(count)]
    tables = unpack(pack(copies))
    for table in tables:
        assert by_id(table.rows()) == by_id(parts_of(copies)[table.model])
        insert_columns(table.model, table.words(), table.count)
    for model, rows in parts_of(copies).items():
        assert by_id(model._default_manager.all()) == by_id(rows)


def test_a_batch_of_skipped_copies_has_no_orders() -> None:
    (table,) = unpack(pack([copy_number(2)]))
    assert (table.model, table.count) == (CopyOrder, 1)
    assert table.values("order_id") == [None]


@pytest.mark.django_db
def test_a_field_that_is_newer_than_the_batch_gets_its_default() -> None:
    copies = [copy_number(0), copy_number(1)]
    packed: Any = msgpack.unpackb(pack(copies))
    count, columns = packed[1]
    left = [column for column in columns if column[0] not in ("absences", "message", "volume")]
    assert len(left) == len(columns) - 3
    older = [None, [count, [*left, ["of_another_time", "", True, 1]]], None]
    (table,) = unpack(msgpack.packb(older))

    insert_columns(table.model, table.words(), table.count)

    found = Order.objects.values_list("absences", "message", "volume")
    assert list(found) == [(0, "", None)] * 2
    assert len(table.rows()) == 2

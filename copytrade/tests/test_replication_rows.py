"""What replication writes past Django's own way is what Django would have written and reads."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from accounts.models import ConnectedAccount, User
from accounts.symbol_terms import SymbolTerms
from accounts.tests.factories import make_account
from copytrade.models import CopyOrder, CopyPosition, CopyRelationship
from copytrade.replication.followers import FollowerBook
from copytrade.replication.ids import Ids
from copytrade.replication.inserts import insert_rows
from copytrade.replication.requests import Requests
from risk.models import Order
from risk.orders.drafts import is_our_tag
from risk.orders.requests import trade_request
from risk.tests.symbol_terms import eurusd

NOW = datetime(2026, 11, 18, 12, 0, 0, 123456, tzinfo=UTC)


def order(number: int, **fields: object) -> Order:
    ids = Ids()
    return Order(
        **{
            "id": ids.new_id(),
            "tag": ids.new_tag(),
            "user_id": 7,
            "account_id": uuid.uuid4(),
            "account_name": f"Tab\tback\\slash {number} é",
            "host": "local",
            "server": "Example-Demo",
            "login": 100 + number,
            "kind": Order.Kind.OPEN,
            "origin": Order.Origin.COPY,
            "symbol": "EURUSD",
            "direction": Order.Direction.BUY,
            "volume": Decimal("0.10") * (number + 1),
            "stop_loss": 1.05 if number % 2 else None,
            "created_at": NOW,
            "sent_at": NOW + timedelta(microseconds=number),
            **fields,
        }
    )


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 24, 25, 26, 60])
def test_rows_are_read_as_they_were_written(count: int) -> None:
    rows = [order(number) for number in range(count)]

    insert_rows(rows)

    found = {row.pk: row for row in Order.objects.all()}
    assert len(found) == count
    names = [field.attname for field in Order._meta.concrete_fields]
    for row in rows:
        assert [getattr(found[row.pk], name) for name in names] == [
            getattr(row, name) for name in names
        ]


@pytest.mark.django_db
def test_nothing_of_a_batch_is_written_when_one_is_there() -> None:
    first, second = order(1), order(2)
    insert_rows([first])
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows([second, order(3, tag=first.tag)])
    assert Order.objects.count() == 1


@pytest.mark.django_db
def test_a_position_is_read_as_it_was_written() -> None:
    ids = Ids()
    row = CopyPosition(
        id=ids.new_id(),
        relationship_id=uuid.uuid4(),
        provider_id=uuid.uuid4(),
        follower_id=uuid.uuid4(),
        provider_position=77,
        provider_volume=Decimal("1.5"),
        symbol="EURUSD",
        direction="buy",
        volume=Decimal("0.25"),
        closes_on_fill=True,
        closes_fraction_on_fill=Decimal("0.333333333333333"),
        opened_at=NOW,
    )
    insert_rows([row])
    found = CopyPosition.objects.get(closes_on_fill=True)
    assert (found.pk, found.volume, found.opened_at) == (row.pk, row.volume, NOW)
    assert found.closes_fraction_on_fill == row.closes_fraction_on_fill


@pytest.mark.django_db
def test_an_event_is_copied_once_per_relationship() -> None:
    event, relationship = uuid.uuid4(), uuid.uuid4()

    def copy() -> CopyOrder:
        return CopyOrder(
            id=Ids().new_id(),
            event_id=event,
            relationship_id=relationship,
            provider_id=uuid.uuid4(),
            follower_id=uuid.uuid4(),
            planned_at=NOW,
        )

    insert_rows([copy()])
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows([copy()])


def test_ids_follow_each_other_and_are_unique() -> None:
    ids = Ids()
    made = [ids.new_id() for _ in range(3_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}
    assert made == [uuid.UUID(str(one)) for one in made]
    assert Ids().new_id() not in made


def test_tags_follow_each_other_and_keep_their_prefix() -> None:
    ids = Ids()
    ids._tag = (0x5447 << 38) | ((1 << 38) - 2)
    made = [ids.new_tag() for _ in range(4)]
    assert [tag & ((1 << 38) - 1) for tag in made] == [(1 << 38) - 2, (1 << 38) - 1, 0, 1]
    assert all(map(is_our_tag, made))


def terms(ask: float) -> SymbolTerms:
    return eurusd(bid=ask - 0.0001, ask=ask)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"direction": Order.Direction.SELL},
        {"stop_loss": 1.01, "take_profit": 1.2, "deviation_points": 3},
        {"symbol": "EURUSD.x"},
        {"kind": Order.Kind.CLOSE, "position_ticket": 5},
        {"kind": Order.Kind.CLOSE, "position_ticket": 6},
        {"comment": "TC-1"},
    ],
)
def test_requests_of_a_crowd_are_those_of_each(fields: dict[str, object]) -> None:
    requests = Requests()
    for quoted in (terms(1.1), terms(1.2)):
        requests.request(order(0), quoted, "UTC")
        for number in range(3):
            one = order(number, **fields)
            assert requests.request(one, quoted, "UTC") == trade_request(one, quoted, "UTC")


@pytest.mark.django_db
def test_the_book_of_followers_notices_each_change(alice: User) -> None:
    provider = make_account(alice, "Provider")
    follower = make_account(alice, "Follower")
    row = CopyRelationship.objects.create(
        provider=provider,
        follower=follower,
        alias="A",
        state="active",
        sizing="multiplier",
        created_by_id=alice.pk,
        created_at=NOW,
        terms_changed_at=NOW,
        state_changed_at=NOW,
    )
    book = FollowerBook()

    def known() -> list[tuple[str, str]]:
        found = book.followers(provider.pk, until=NOW)
        return [(each.terms.state, each.account.name) for each in found]

    assert known() == [("active", "Follower")]
    changed = NOW + timedelta(seconds=1)
    CopyRelationship.objects.filter(pk=row.pk).update(state="paused", state_changed_at=changed)
    assert known() == [("paused", "Follower")]
    account = ConnectedAccount.objects.get(pk=follower.pk)
    account.name = "Renamed"
    account.save()
    assert known() == [("paused", "Renamed")]
    assert book.followers(provider.pk, until=NOW - timedelta(seconds=1)) == []
    CopyRelationship.objects.filter(pk=row.pk).update(state="terminated", state_changed_at=changed)
    assert known() == []
    ConnectedAccount.objects.filter(pk=follower.pk).update(currency="CHF")
    CopyRelationship.objects.filter(pk=row.pk).update(state="active")
    book.refresh(provider.pk)
    assert [each.account.currency for each in book.followers(provider.pk, until=NOW)] == ["CHF"]

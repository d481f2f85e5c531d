"""The socket of a ledger, end to end: alice provides, bob and she follow, charlie is a stranger."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.urls import path as route
from redis import Redis

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import NOW, make_account
from accounts.tests.live_sockets import LiveSocket
from copytrade import consumers
from copytrade.consumers import CopyLedgerConsumer
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship
from copytrade.publishing import publish_ledgers
from copytrade.selectors.events import newest_events
from copytrade.selectors.ledger import events_of
from copytrade.tests.factories import make_copy, make_event, make_relationship

pytestmark = pytest.mark.django_db(transaction=True)

LEDGER: Any = CopyLedgerConsumer.as_asgi()
SENTENCE = "0.004 lots of 1,234.56 USD are less than the smallest lot."


class Socket(LiveSocket):
    """A client of the ledger of one provider."""

    def __init__(self, user: object, provider_id: UUID, query: str = "") -> None:
        routes = [route("ws/copy/<uuid:account_id>", LEDGER)]
        super().__init__(routes, f"ws/copy/{provider_id}{query}", user)


class Cast:
    """A provider of alice's, with a follower of hers and one of bob's."""

    def __init__(self, alice: User, bob: User) -> None:
        self.lead = make_account(alice, "Lead")
        self.mine = make_relationship(self.lead, make_account(alice, "Own"), alias="Own")
        self.bobs = make_relationship(
            self.lead, make_account(bob, "Bob's savings"), alias="Client 7"
        )

    def happens(self, *followers: CopyRelationship, **fields: Any) -> CopyEvent:
        told: dict[str, Any] = {"position_ticket": 4711, "volume": 1, "direction": "buy"}
        event = make_event(self.mine, EventKind.OPEN, **{**told, **fields})
        for row in followers:
            make_copy(
                row, event, state=CopyOrder.State.SKIPPED, sentence=SENTENCE,
                reason=SkipReason.BELOW_MINIMUM.value,
            )  # fmt: skip
        return event


@pytest.fixture(autouse=True)
async def _close_connections() -> AsyncIterator[None]:
    yield
    await database_sync_to_async(connections.close_all)()


@pytest.fixture(autouse=True)
def _only_when_told(monkeypatch: pytest.MonkeyPatch, redis: Redis) -> None:
    """Whatever a test hears, a message has told the socket to look."""
    monkeypatch.setattr(consumers, "LOOKS_EVERY_SECONDS", 60.0)


@pytest.fixture
def cast(alice: User, bob: User) -> Cast:
    return Cast(alice, bob)


async def events_told(socket: Socket) -> list[dict[str, Any]]:
    told = await socket.told("copy_ledger_update")
    events: list[dict[str, Any]] = told["data"]["events"]
    return events


@database_sync_to_async
def change(cast: Cast, *followers: CopyRelationship) -> CopyEvent:
    event = cast.happens(*followers)
    publish_ledgers([cast.lead.pk])
    return event


async def test_it_tells_all_rows_first_and_then_what_changes(cast: Cast, alice: User) -> None:
    old = await database_sync_to_async(cast.happens)(cast.mine)
    socket = await Socket(alice, cast.lead.pk).open()
    [first] = await events_told(socket)
    assert (first["id"], first["copies"]["skipped"]) == (str(old.pk), 1)
    new = await change(cast, cast.mine, cast.bobs)
    [told] = await events_told(socket)
    assert (told["id"], told["copies"]["total"], told["position_ticket"]) == (str(new.pk), 2, 4711)
    await database_sync_to_async(end_copies)(old)
    publish_ledgers([cast.lead.pk])
    [changed] = await events_told(socket)
    assert (changed["id"], changed["copies"]["done"], changed["copies"]["skipped"]) == (
        str(old.pk), 1, 0,
    )  # fmt: skip
    await socket.close()


def end_copies(event: CopyEvent) -> None:
    CopyOrder.objects.filter(event_id=event.pk).update(state=CopyOrder.State.DONE)


async def test_a_followers_owner_sees_its_own_rows_alone(
    cast: Cast, alice: User, bob: User
) -> None:
    await database_sync_to_async(cast.happens)(cast.mine)  # nothing of bob's
    both = await database_sync_to_async(cast.happens)(cast.mine, cast.bobs)
    his = await Socket(bob, cast.lead.pk).open()
    [told] = await events_told(his)
    assert (told["id"], told["copies"]["total"], told["position_ticket"]) == (str(both.pk), 1, None)
    hers = await Socket(alice, cast.lead.pk).open()
    assert len(await events_told(hers)) == 2
    await change(cast, cast.mine)
    await change(cast, cast.bobs)
    [next_of_his] = await events_told(his)
    assert (next_of_his["copies"]["total"], next_of_his["owns_provider"]) == (1, False)
    await his.close()
    await hers.close()


async def test_a_provider_hears_no_secret_of_anothers_follower(cast: Cast, alice: User) -> None:
    await database_sync_to_async(cast.happens)(cast.bobs)
    socket = await Socket(alice, cast.lead.pk).open()
    text = await socket.text()
    follower = cast.bobs.follower
    secrets = ("Bob", "1,234", str(follower.pk), str(follower.login), "savings")
    assert not any(secret in text for secret in secrets)
    await socket.close()


async def test_strangers_and_the_unknown_are_turned_away(cast: Cast, charlie: User) -> None:
    for user, pk in ((charlie, cast.lead.pk), (charlie, uuid4())):
        assert await (await Socket(user, pk).open()).closing_code() == 4404
    assert await (await Socket(AnonymousUser(), cast.lead.pk).open()).closing_code() == 4401


@pytest.mark.parametrize("state", ["offered", "declined"])
async def test_an_offer_alone_shows_nothing(
    state: str, cast: Cast, bob: User, charlie: User
) -> None:
    lead, mine = cast.lead, await database_sync_to_async(make_account)(charlie, "Charlie's")
    await database_sync_to_async(make_relationship)(lead, mine, state=state, started_at=None)
    assert await (await Socket(charlie, lead.pk).open()).closing_code() == 4404


async def test_it_ends_when_the_account_is_deleted(alice: User) -> None:
    account = await database_sync_to_async(make_account)(alice, "Alone")
    socket = await Socket(alice, account.pk).open()
    assert await events_told(socket) == []
    await database_sync_to_async(archive)(account)
    publish_ledgers([account.pk])
    assert await socket.closing_code() == 4404


def archive(account: ConnectedAccount) -> None:
    ConnectedAccount.objects.filter(pk=account.pk).update(
        archived_at=account.created_at, is_active=False, is_default=False
    )


async def test_who_does_not_read_is_told_the_newest_once(cast: Cast, alice: User) -> None:
    socket = await Socket(alice, cast.lead.pk).open()
    await events_told(socket)
    for _ in range(5):
        await change(cast, cast.mine)
    told: list[dict[str, Any]] = []
    messages = 0
    while len(told) < 5:
        told += await events_told(socket)
        messages += 1
    assert messages <= 3
    assert len({row["id"] for row in told}) == 5
    await socket.close()


async def test_it_looks_by_itself_when_nobody_tells(
    cast: Cast, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while Redis is away: no message comes, and the rows come all the same."""
    monkeypatch.setattr(consumers, "LOOKS_EVERY_SECONDS", 0.05)
    socket = await Socket(alice, cast.lead.pk).open()
    await events_told(socket)
    event = await database_sync_to_async(cast.happens)(cast.mine)
    assert [row["id"] for row in await events_told(socket)] == [str(event.pk)]
    await socket.close()


async def test_a_page_hears_that_it_is_alive(cast: Cast, alice: User) -> None:
    socket = await Socket(alice, cast.lead.pk, "?format=html").open()
    began = time.monotonic()
    assert await socket.json() == []
    assert await socket.json() == []
    assert time.monotonic() - began < 60
    await socket.close()


@pytest.mark.parametrize("query", ["", "?format=html", "?have=%00:%ff,,:&format=%00", "?format="])
async def test_it_survives_garbage(query: str, cast: Cast, alice: User) -> None:
    socket = await Socket(alice, cast.lead.pk, query).open()
    await socket.text()
    for said in ("null", "[" * 20_000, '{"type": "copy.changed"}', "resync", "\ud83d\x00"):
        await socket.say(said)
    await change(cast, cast.mine)
    await socket.text()
    await socket.close()


async def test_it_follows_the_newest_rows_alone(
    cast: Cast, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ROWS_FOLLOWED", 3)
    for _ in range(5):
        await database_sync_to_async(cast.happens)(cast.mine)
    socket = await Socket(alice, cast.lead.pk).open()
    assert len(await events_told(socket)) == 3
    await socket.close()


@pytest.mark.parametrize("most", [2, 4, 50])
def test_the_newest_are_those_that_the_ledger_lists(
    most: int, cast: Cast, alice: User, bob: User, charlie: User
) -> None:
    twice = make_relationship(cast.lead, make_account(bob, "Bob's second"), alias="Client 8")
    chosen = [(cast.mine,), (cast.bobs,), (cast.bobs, twice), (twice,), (), (cast.mine, cast.bobs)]
    for number, rows in enumerate(chosen):
        at = NOW + timedelta(seconds=number)
        event = make_event(cast.mine, EventKind.OPEN, detected_at=at)
        for row in rows:
            make_copy(row, event, planned_at=at)
    for user in (alice, bob, charlie):
        listed = events_of(user).order_by("-detected_at", "-pk")[:most]
        assert newest_events(user, provider_id=cast.lead.pk, most=most) == list(listed)


def test_what_is_long_over_is_not_counted_with_each_look(cast: Cast, alice: User) -> None:
    long_ago, lately = NOW - consumers.SETTLED_AFTER * 2, NOW - consumers.SETTLED_AFTER / 2
    over, under_way, unplanned, young = (
        make_event(cast.mine, EventKind.OPEN, detected_at=at, planned_at=planned_at)
        for at, planned_at in (
            (long_ago, long_ago), (long_ago, long_ago), (long_ago, None), (lately, lately),
        )
    )  # fmt: skip
    copies = [make_copy(cast.mine, each) for each in (over, under_way, unplanned, young)]
    CopyOrder.objects.filter(pk=copies[1].pk).update(state="ordered")
    settled: dict[UUID, Any] = {}

    def done() -> dict[str, int]:
        rows = consumers.newest_rows(alice, cast.lead.pk, settled, now=NOW)
        return {row["id"]: row["copies"]["done"] for row in rows}

    first = done()
    assert list(settled) == [over.pk]
    CopyOrder.objects.filter(pk__in=[copy.pk for copy in copies]).update(state="failed")
    again = done()
    assert list(again) == list(first)
    assert (again[str(over.pk)], sum(again.values())) == (1, 1)
    assert set(settled) == {over.pk, under_way.pk}
    settled.clear()
    assert sum(done().values()) == 0


async def test_what_is_long_over_is_counted_anew_now_and_then(
    cast: Cast, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "COUNTED_ANEW_SECONDS", 0.0)
    event = await database_sync_to_async(make_event)(cast.mine, EventKind.OPEN, planned_at=NOW)
    copy = await database_sync_to_async(make_copy)(cast.mine, event)
    socket = await Socket(alice, cast.lead.pk).open()
    assert (await events_told(socket))[0]["copies"]["done"] == 1
    await CopyOrder.objects.filter(pk=copy.pk).aupdate(state="failed")
    publish_ledgers([cast.lead.pk])
    assert (await events_told(socket))[0]["copies"]["failed"] == 1
    await socket.close()

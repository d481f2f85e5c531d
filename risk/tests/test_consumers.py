"""The live sockets, end to end: channel layer, hot state and database are real."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.test import Client
from django.urls import path as route
from django.utils import timezone
from redis import Redis

from accounts import streaming
from accounts.models import ConnectedAccount, User
from accounts.redis import watched_key
from accounts.tests.factories import make_account
from accounts.tests.live_sockets import LiveSocket
from groups.models import AccountGroup
from groups.tests.factories import make_group
from risk.consumers import AccountConsumer, GroupConsumer, GroupListConsumer
from risk.core.statuses import Status
from risk.live import account_risk, group_risk
from risk.models import RiskRule
from risk.tests.factories import make_rule
from risk.tests.live_state import leave_readings

pytestmark = pytest.mark.django_db(transaction=True)

CONSUMERS: dict[str, Any] = {
    "ws/groups": GroupListConsumer,
    "ws/group/<uuid:group_id>": GroupConsumer,
    "ws/account/<uuid:account_id>": AccountConsumer,
}
ROUTES: list[Any] = [route(path, consumer.as_asgi()) for path, consumer in CONSUMERS.items()]
Desk = tuple[AccountGroup, ConnectedAccount, RiskRule]


class Socket(LiveSocket):
    def __init__(self, path: str, user: object, session: object = None) -> None:
        super().__init__(ROUTES, path, user, session)


@pytest.fixture(autouse=True)
async def _close_connections() -> AsyncIterator[None]:
    yield
    await database_sync_to_async(connections.close_all)()


@pytest.fixture
def desk(alice: User) -> Desk:
    account = make_account(alice, "Alpha 3", state="connected")
    rule = make_rule(alice)
    leave_readings([account], [rule], read_at=time.time())
    return make_group(alice, "Desk", account), account, rule


async def publish(desk: Desk, *, left: float, status: Status = Status.CRITICAL) -> None:
    """Do what the worker does after a tick that changed the account."""
    group, account, rule = desk
    layer = get_channel_layer()
    assert layer is not None

    def tick() -> list[tuple[str, str, dict[str, Any]]]:
        leave_readings([account], [rule], read_at=time.time(), left=left, status=status)
        now = timezone.now()
        fresh = AccountGroup.objects.get(pk=group.pk)
        return [
            (f"group.{group.pk}", "group.risk", group_risk(fresh, now=now)),
            (f"account.{account.pk}", "account.live", account_risk(account, now=now)),
        ]

    for topic, kind, risk in await database_sync_to_async(tick)():
        message = {"type": kind, "sequence": 6, "payload": json.dumps(risk)}
        await layer.group_send(topic, message)


@pytest.mark.parametrize("kind", ["group", "account"])
async def test_it_knows_nothing_of_somebody_else(desk: Desk, charlie: User, kind: str) -> None:
    group, account, _ = desk
    for identifier in (group.pk if kind == "group" else account.pk, uuid4()):
        socket = await Socket(f"/ws/{kind}/{identifier}", charlie).open()
        assert await socket.closing_code() == 4404


@pytest.mark.parametrize("path", [f"group/{uuid4()}", f"account/{uuid4()}", "groups"])
async def test_it_closes_on_whoever_is_not_signed_in(path: str) -> None:
    socket = await Socket(f"/ws/{path}", AnonymousUser()).open()
    assert await socket.closing_code() == 4401


async def test_it_sends_the_full_state_first_and_then_what_the_worker_says(
    desk: Desk, alice: User, redis: Redis
) -> None:
    group, _, _ = desk
    socket = await Socket(f"/ws/group/{group.pk}", alice).open()

    first = await socket.json()
    await publish(desk, left=100.0)
    second = await socket.json()
    await socket.close()

    assert first["type"] == second["type"] == "group_risk_update"
    assert first["data"]["weakest_account"]["name"] == "Alpha 3"
    assert first["data"]["rules"][0]["left"] == pytest.approx(212.4)
    assert second["data"]["rules"][0]["left"] == pytest.approx(100.0)
    watched_until: Any = redis.zscore(watched_key("group"), str(group.pk))
    assert watched_until > time.time()


async def test_it_sends_rules_of_an_account_only_when_they_changed(desk: Desk, alice: User) -> None:
    _, account, _ = desk
    socket = await Socket(f"/ws/account/{account.pk}", alice).open()

    assert "rules" not in (await socket.json())["data"]
    assert (await socket.json())["data"]["rules"][0]["left"] == pytest.approx(212.4)
    await publish(desk, left=212.4)
    assert (await socket.json())["type"] == "account_update"
    await publish(desk, left=100.0)
    kinds = [(await socket.json())["type"] for _ in range(2)]
    await socket.close()

    assert kinds == ["account_update", "rule_update"]


async def test_it_sends_only_the_cells_that_changed(desk: Desk, alice: User) -> None:
    group, account, rule = desk
    socket = await Socket(f"/ws/group/{group.pk}?format=html", alice).open()
    fragments = await socket.text()
    assert 'hx-swap-oob="true"' in fragments
    assert "Alpha 3: 212.40 USD of 5,000.00 left today (4\N{NO-BREAK SPACE}%)" in fragments

    await publish(desk, left=210.0)
    patches = json.loads(await socket.until(lambda text: "210.00" in text))
    await socket.close()

    cell = f"a{str(account.pk)[:8]}-{str(rule.pk)[:8]}"
    assert [cell, ["4 %", "210.00"], "critical", 95.8] in patches
    ids = {patch[0] for patch in patches}
    assert f"a{str(account.pk)[:8]}-status" not in ids
    assert "page-title" not in ids


async def test_it_sends_structure_again_when_it_changed(desk: Desk, alice: User) -> None:
    group, _, _ = desk
    socket = await Socket(f"/ws/group/{group.pk}?format=html", alice).open()
    await socket.text()

    await publish(desk, left=-12.6, status=Status.VIOLATED)
    fragment = await socket.until(lambda text: text.lstrip().startswith("<"))
    patches = json.loads(await socket.until(lambda text: text.startswith("[[")))
    await socket.close()

    assert "Alpha 3 broke “Daily loss”." in fragment
    assert 'id="group-matrix"' not in fragment
    assert ["page-title", "● VIOLATED Desk – TradeGuard", "violated"] in patches


async def test_it_does_not_send_what_the_page_holds_already(desk: Desk, alice: User) -> None:
    group, _, _ = desk
    path = f"/ws/group/{group.pk}?format=html"
    first = await Socket(path, alice).open()
    fragments = await first.text()
    await first.close()
    matrix = fragments.split('id="group-matrix" data-part="')[1][:8]

    second = await Socket(f"{path}&have=group-matrix:{matrix},group-rules:old", alice).open()
    again = await second.text()
    await second.close()

    assert 'id="group-rules"' in again
    assert 'id="group-matrix"' not in again


async def test_it_starts_anew_when_the_page_asks(desk: Desk, alice: User) -> None:
    group, _, _ = desk
    socket = await Socket(f"/ws/group/{group.pk}?format=html", alice).open()
    await socket.text()
    await socket.say("resync")
    again = await socket.until(lambda text: text.lstrip().startswith("<"))
    await socket.close()
    assert 'id="group-matrix"' in again


async def test_it_beats_while_nothing_happens(desk: Desk, alice: User) -> None:
    group, _, _ = desk
    socket = await Socket(f"/ws/group/{group.pk}?format=html", alice).open()
    await socket.text()
    assert json.loads(await socket.text()) == []
    await socket.close()


async def test_it_says_by_itself_that_readings_are_stale(desk: Desk, alice: User) -> None:
    """The worker is dead: no message comes, yet the page must not go on looking live."""
    group, account, rule = desk
    leave_readings([account], [rule], read_at=time.time() - 1.8)
    page = await Socket(f"/ws/group/{group.pk}?format=html", alice).open()
    program = await Socket(f"/ws/group/{group.pk}", alice).open()
    assert "212.40 USD" in await page.text()

    fragment = await page.until(lambda text: "All figures are stale" in text)
    answers = [(await program.json())["data"] for _ in range(2)]
    await page.close()
    await program.close()

    assert 'data-status="unknown"' in fragment
    assert [each["status"] for each in answers] == ["critical", "unknown"]
    assert answers[1]["rules"][0]["left"] is None


async def test_it_closes_when_the_group_is_gone(desk: Desk, alice: User) -> None:
    group, account, rule = desk
    leave_readings([account], [rule], read_at=time.time() - 1.8)
    socket = await Socket(f"/ws/group/{group.pk}", alice).open()
    await socket.json()
    await database_sync_to_async(group.delete)()
    assert await socket.closing_code() == 4404


async def test_it_closes_after_signing_out_elsewhere(
    desk: Desk, alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "WATCH_EVERY_SECONDS", 0.1)
    group, _, _ = desk
    await database_sync_to_async(client.force_login)(alice)
    session = client.session
    socket = await Socket(f"/ws/group/{group.pk}?format=html", alice, session).open()
    await socket.text()
    assert json.loads(await socket.text()) == []
    await database_sync_to_async(session.delete)()
    assert await socket.closing_code() == 4401


async def test_it_shows_an_account_page_live(desk: Desk, alice: User) -> None:
    _, account, _ = desk
    socket = await Socket(f"/ws/account/{account.pk}?format=html", alice).open()
    assert "95,212.40" in await socket.text()
    await publish(desk, left=100.0)
    patches = json.loads(await socket.until(lambda text: "95,100.00" in text))
    await socket.close()
    assert ["f-equity", "95,100.00"] in patches
    assert ["p7-profit", "−4,900.00", "loss"] in patches


async def test_it_keeps_the_cards_of_all_groups_live(
    desk: Desk, alice: User, charlie: User
) -> None:
    group, _, _ = desk
    await database_sync_to_async(make_group)(charlie, "Theirs")
    socket = await Socket("/ws/groups?format=html", alice).open()
    cards = await socket.text()
    await publish(desk, left=100.0)
    patches = await socket.until(lambda text: "100.00 USD" in text)
    await socket.close()

    assert "Desk" in cards
    assert "Theirs" not in cards
    assert f"g{str(group.pk)[:8]}-say" in patches


async def test_it_sends_the_latest_alone_when_messages_come_too_fast(
    desk: Desk, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "SHORTEST_INTERVAL_SECONDS", 1.0)
    group, _, _ = desk
    socket = await Socket(f"/ws/group/{group.pk}", alice).open()
    await socket.json()
    for left in (200.0, 190.0, 180.0):
        await publish(desk, left=left)
    latest = await socket.json()
    await socket.close()
    assert latest["data"]["rules"][0]["left"] == pytest.approx(180.0)

"""The dashboard's socket, end to end: channel layer, hot state and database are real."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.test import Client
from django.urls import path as route
from redis import Redis

from accounts import streaming
from accounts.dashboard.consumers import DashboardConsumer
from accounts.models import AccountConnection, ConnectedAccount, User
from accounts.publishing import publish_dashboards
from accounts.services.accounts import create_account, delete_account, update_account
from accounts.tests.factories import NOW, SECRET, make_account
from accounts.tests.live_sockets import LiveSocket
from accounts.tests.states import leave_states

pytestmark = pytest.mark.django_db(transaction=True)

DASHBOARD: Any = DashboardConsumer.as_asgi()


class Socket(LiveSocket):
    """A client of the dashboard."""

    def __init__(self, user: object, query: str = "", session: object = None) -> None:
        routes = [route("ws/dashboard", DASHBOARD)]
        super().__init__(routes, f"ws/dashboard{query}", user, session)


@pytest.fixture(autouse=True)
async def _close_connections() -> AsyncIterator[None]:
    yield
    await database_sync_to_async(connections.close_all)()


@pytest.fixture
def account(alice: User, redis: Redis) -> ConnectedAccount:
    account = make_account(alice, "Alpha 1", state="connected", with_key=True)
    leave_states([account], read_at=time.time(), equity=95_212.4)
    return account


@database_sync_to_async
def lose(account: ConnectedAccount) -> None:
    """Do what the worker does when a session is lost."""
    AccountConnection.objects.filter(account=account).update(
        state="error", reason="wrong_account", last_error="Another account.", since=NOW
    )
    publish_dashboards([account.user_id])


async def test_it_tells_everything_on_connecting(alice: User, account: ConnectedAccount) -> None:
    socket = await Socket(alice).open()
    first, second = await socket.json(), await socket.json()
    assert first["type"] == "accounts"
    [told] = first["accounts"]
    assert (told["account_id"], told["name"]) == (str(account.pk), "Alpha 1")
    assert (told["state"], told["equity"], told["is_stale"]) == ("connected", 95_212.4, False)
    assert second["type"] == "summary"
    assert (second["accounts"], second["connected"], second["live"]) == (1, 1, 1)
    assert second["totals"] == [
        {
            "currency": "USD",
            "accounts": 1,
            "balance": 100_000.0,
            "equity": 95_212.4,
            "profit": -4787.6,
            "margin": 108.77,
        }
    ]
    await socket.close()


async def test_it_sums_up_no_stale_reading(alice: User, account: ConnectedAccount) -> None:
    leave_states([account], read_at=time.time() - 2.5)
    socket = await Socket(alice).open()
    told = (await socket.told("accounts"))["accounts"]
    assert told[0]["is_stale"]
    summary = await socket.told("summary")
    assert (summary["connected"], summary["live"], summary["totals"]) == (1, 0, [])
    await socket.close()


async def test_it_tells_a_connection_that_changed(alice: User, account: ConnectedAccount) -> None:
    socket = await Socket(alice).open()
    await socket.told("summary")
    await lose(account)
    assert await socket.told("account_connection") == {
        "type": "account_connection",
        "account_id": str(account.pk),
        "name": "Alpha 1",
        "state": "error",
        "reason": "wrong_account",
        "message": "Another account.",
        "at": "2026-11-20T12:00:00Z",
    }
    assert (await socket.told("summary"))["error"] == 1
    await socket.close()


async def test_it_tells_of_accounts_that_come_change_and_go(
    alice: User, account: ConnectedAccount
) -> None:
    socket = await Socket(alice).open()
    await socket.told("summary")
    terms: dict[str, Any] = {
        "name": "Beta",
        "broker": "Example Brokers",
        "server": "Example-Demo",
        "login": 77,
        "currency": "USD",
        "initial_balance": 1,
        "password": SECRET,
    }
    beta = await database_sync_to_async(create_account)(user=alice, **terms)
    created = await socket.told("account_changed")
    assert (created["change"], created["account_id"]) == ("created", str(beta.pk))
    assert (await socket.told("account_connection"))["state"] == "connecting"
    await database_sync_to_async(update_account)(account=beta, name="Gamma")
    updated = await socket.told("account_changed")
    assert (updated["change"], updated["name"]) == ("updated", "Gamma")
    await database_sync_to_async(delete_account)(account=beta)
    deleted = await socket.told("account_changed")
    assert (deleted["change"], deleted["name"]) == ("deleted", "Gamma")
    await socket.close()


async def test_it_tells_nobody_of_somebody_elses_accounts(
    bob: User, account: ConnectedAccount
) -> None:
    socket = await Socket(bob).open()
    assert (await socket.told("accounts"))["accounts"] == []
    assert (await socket.told("summary"))["accounts"] == 0
    await lose(account)
    own = await database_sync_to_async(make_account)(bob, "Bob's")
    publish_dashboards([bob.pk])
    # The first message since: nothing was said of what alice has.
    told = await socket.json()
    assert (told["type"], told["account_id"]) == ("account_changed", str(own.pk))
    await socket.close()


async def test_it_sends_a_page_the_cells_that_differ(
    alice: User, account: ConnectedAccount
) -> None:
    socket = await Socket(alice, "?format=html").open()
    prefix = f"a{str(account.pk)[:8]}"
    first = {patch[0]: patch for patch in await socket.json()}
    assert first[f"{prefix}-link"][2] == "connected"
    assert first[f"{prefix}-equity"][1] == "95,212.40"
    await lose(account)
    changed = await socket.until_json(
        lambda patches: any(p[0] == f"{prefix}-link" for p in patches)
    )
    assert [patch[2] for patch in changed if patch[0] == f"{prefix}-link"] == ["error"]
    assert f"{prefix}-equity" not in {patch[0] for patch in changed}
    await socket.until_json(lambda patches: patches == [])  # the heartbeat
    await socket.close()


async def test_it_turns_away_who_is_not_signed_in(account: ConnectedAccount) -> None:
    socket = await Socket(AnonymousUser()).open()
    assert await socket.closing_code() == 4401


async def test_it_closes_after_signing_out_elsewhere(
    alice: User, account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "WATCH_EVERY_SECONDS", 0.1)
    browser = Client()
    await database_sync_to_async(browser.force_login)(alice)
    session = browser.session
    socket = await Socket(alice, session=session).open()
    await socket.told("summary")
    await database_sync_to_async(browser.logout)()
    assert await socket.closing_code() == 4401

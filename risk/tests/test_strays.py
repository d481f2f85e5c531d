"""What no host can bring to an end by itself ends all the same, with a row that says why."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts.models import AccountConnection, ConnectedAccount, TerminalHost, User
from accounts.services.accounts import delete_account
from accounts.tests.factories import make_account, make_host
from notifications.models import Notification
from risk.models import Enforcement, Order
from risk.orders.drafts import draft
from risk.services.strays import settle_strays

pytestmark = pytest.mark.django_db
NOW = datetime.fromisoformat("2026-11-20T12:00:00+00:00")
State, Stage = Order.State, Enforcement.Stage


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    account = make_account(alice, "Bold", state="connected", with_key=True)
    AccountConnection.objects.update(is_wanted=True, since=NOW - timedelta(hours=1))
    TerminalHost.objects.update(lease_expires_at=NOW + timedelta(seconds=2))
    return account


def sent(account: ConnectedAccount, state: str = State.UNKNOWN, seconds: float = 60) -> Order:
    at = NOW - timedelta(seconds=seconds)
    order = draft(account, Order.Kind.OPEN, host="local", origin="api", now=at, symbol="EURUSD")
    order.state, order.sent_at = state, at
    order.save(force_insert=True)
    return order


def begun(account: ConnectedAccount, **fields: Any) -> Enforcement:
    return Enforcement.objects.create(**{
        "user_id": account.user_id, "account_id": account.pk, "account_name": account.name,
        "host": "local", "cause": "panic", "action": "CLOSE_ALL", "reason": "Enough.",
        "triggered_at": NOW, "created_at": NOW - timedelta(minutes=1), **fields,
    })  # fmt: skip


def test_it_leaves_alone_what_its_host_works_on(account: ConnectedAccount) -> None:
    sent(account), sent(account, State.SENT, seconds=1)
    begun(account)
    assert settle_strays(now=NOW) == 0
    assert Order.objects.unfinished().count() == 2
    assert Enforcement.objects.running().count() == 1


@pytest.mark.parametrize("state", [State.SENT, State.UNKNOWN])
@pytest.mark.parametrize(
    ("changes", "words"),
    [({"login": 4711}, "another login"), ({"server": "Other-Demo"}, "another login")],
)
def test_an_order_of_a_login_that_is_gone_is_lost(
    account: ConnectedAccount, changes: dict[str, Any], words: str, state: str
) -> None:
    order = sent(account, state)
    ConnectedAccount.objects.update(**changes)
    assert settle_strays(now=NOW) == 1
    order.refresh_from_db()
    assert (order.state, order.reconciled_at) == (State.LOST, NOW)
    assert words in order.message
    assert not Order.objects.unfinished().exists()


def test_what_is_open_ends_with_its_account(account: ConnectedAccount) -> None:
    order, run = sent(account), begun(account)
    delete_account(account=account, now=NOW)
    assert settle_strays(now=NOW) == 2
    order.refresh_from_db()
    run.refresh_from_db()
    assert (order.state, run.stage, run.finished_at) == (State.LOST, Stage.GIVEN_UP, NOW)
    assert "was deleted" in order.message
    assert "was deleted" in run.message
    links = Notification.objects.filter(body__contains="was deleted").values_list("link", flat=True)
    assert list(links) == ["/accounts", "/accounts"]
    assert settle_strays(now=NOW) == 0


def test_another_host_takes_up_what_moves_to_it(account: ConnectedAccount) -> None:
    order, run = sent(account), begun(account)
    other = make_host("other")
    TerminalHost.objects.update(lease_expires_at=NOW + timedelta(seconds=2))
    ConnectedAccount.objects.update(terminal_host=other)
    assert settle_strays(now=NOW) == 2
    order.refresh_from_db()
    run.refresh_from_db()
    assert (order.host, order.state, run.host, run.finished_at) == (
        "other", State.UNKNOWN, "other", None,
    )  # fmt: skip


@pytest.mark.parametrize(("seconds", "ends"), [(9, False), (11, True)])
def test_a_run_ends_on_an_account_that_nobody_watches(
    account: ConnectedAccount, seconds: int, ends: bool
) -> None:
    run = begun(account)
    since = NOW - timedelta(seconds=seconds)
    AccountConnection.objects.update(is_wanted=False, since=since)
    assert settle_strays(now=NOW) == ends
    run.refresh_from_db()
    assert (run.stage == Stage.GIVEN_UP) is ends
    assert Notification.objects.filter(priority="urgent").count() == ends


@pytest.mark.parametrize(("seconds", "is_told"), [(9, False), (11, True)])
def test_it_says_once_that_a_host_does_not_run(
    account: ConnectedAccount, seconds: int, is_told: bool
) -> None:
    run = begun(account)
    TerminalHost.objects.update(lease_expires_at=NOW - timedelta(seconds=seconds))
    for _ in range(2):
        settle_strays(now=NOW)
    run.refresh_from_db()
    assert run.finished_at is None
    assert ("host “local” does not run" in run.message) is is_told
    assert Notification.objects.filter(title__contains="held up").count() == is_told

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import AccountConnection, ConnectedAccount, ConnectionLog, User
from accounts.sessions.states import ConnectionChange, Reason
from accounts.tests.factories import NOW, make_account
from notifications.models import Delivery, DeliverySettings, Notification
from notifications.services import connections as connections_module
from notifications.services import notify_connection_changes, route_due
from notifications.services.connections import FLAPPING, account_path
from notifications.tests.factories import make_channel

MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice, "Alpha 3", state="connected", server="Example-Live")


def change(
    account: ConnectedAccount,
    steps: str,
    *,
    at: datetime = NOW,
    reason: Reason = Reason.BROKER_CONNECTION_LOST,
) -> ConnectionChange:
    """Return, and log as the sessions do, a change that is written like "connected error"."""
    from_state, to_state = steps.split()
    ConnectionLog.objects.create(
        account_id=account.pk,
        user_id=account.user_id,
        account_name=account.name,
        from_state=from_state,
        to_state=to_state,
        reason=reason,
        message=reason.sentence,
        created_at=at,
    )
    return ConnectionChange(
        account_id=account.pk,
        user_id=account.user_id,
        account_name=account.name,
        from_state=from_state,
        to_state=to_state,
        reason=reason,
        message=reason.sentence,
        at=at,
        retries=0,
        next_attempt_at=None,
    )


def lose(account: ConnectedAccount, at: datetime = NOW) -> list[Notification]:
    return notify_connection_changes([change(account, "connected error", at=at)])


def restore(account: ConnectedAccount, at: datetime) -> list[Notification]:
    return notify_connection_changes(
        [change(account, "error connected", at=at, reason=Reason.NONE)]
    )


def titles(user: User) -> list[str]:
    """What the user's list shows, newest first."""
    return [row.title for row in Notification.objects.owned_by(user)]


def test_it_tells_a_loss_in_a_traders_words(account: ConnectedAccount, alice: User) -> None:
    [told] = lose(account)

    assert (told.type, told.priority, told.user) == ("connection_lost", "high", alice)
    assert told.title == "Connection lost: Alpha 3"
    assert told.body.startswith(
        "Alpha 3 (Example-Live): The terminal has lost its connection to the broker."
    )
    assert (told.object_type, told.object_id) == ("account", str(account.pk))
    assert told.link == f"/accounts/{account.pk}"
    assert told.created_at == NOW
    assert told.routed_at is None


def test_it_links_to_the_page_of_the_account(account: ConnectedAccount) -> None:
    assert account_path(account.pk) == reverse("account-detail", args=[account.pk])


def test_it_tells_a_change_once_however_often_it_is_handed_over(
    account: ConnectedAccount, alice: User
) -> None:
    lost = change(account, "connected error")
    notify_connection_changes([lost])
    Notification.objects.update(read_at=NOW)

    assert notify_connection_changes([lost]) == []
    assert Notification.objects.get().read_at == NOW


def test_it_tells_the_return_after_a_loss_that_was_told(
    account: ConnectedAccount, alice: User
) -> None:
    lose(account)

    [told] = restore(account, NOW + 4 * MINUTE)

    assert (told.type, told.priority) == ("connection_restored", "medium")
    assert told.title == "Connection restored: Alpha 3"
    assert told.body.replace("\xa0", " ") == (
        "Alpha 3 (Example-Live) is connected again after 4 minutes."
    )
    assert restore(account, NOW + 5 * MINUTE) == []


def test_it_says_no_duration_below_a_minute(account: ConnectedAccount) -> None:
    lose(account)

    [told] = restore(account, NOW + MINUTE - INSTANT)

    assert told.body == "Alpha 3 (Example-Live) is connected again."


def test_it_says_nothing_of_a_first_connection(account: ConnectedAccount) -> None:
    assert (
        notify_connection_changes([change(account, "connecting connected", reason=Reason.NONE)])
        == []
    )


@pytest.mark.parametrize(
    "steps", ["connecting error", "disconnected connecting", "error error", "error connecting"]
)
def test_it_says_nothing_of_an_account_that_was_not_connected(
    account: ConnectedAccount, steps: str
) -> None:
    assert notify_connection_changes([change(account, steps)]) == []


@pytest.mark.parametrize("to_state", ["disconnected", "error", "connecting"])
@pytest.mark.parametrize("asked_by", ["disconnect", "deactivate"])
def test_it_says_nothing_when_the_user_asked_for_the_end(
    account: ConnectedAccount, asked_by: str, to_state: str
) -> None:
    if asked_by == "disconnect":
        AccountConnection.objects.update(is_wanted=False)
    else:
        ConnectedAccount.objects.update(is_active=False)

    assert notify_connection_changes([change(account, f"connected {to_state}")]) == []


@pytest.mark.parametrize("reason", [Reason.REQUESTED, Reason.RESTORED])
def test_it_says_nothing_of_a_login_anew_that_succeeds(
    account: ConnectedAccount, reason: Reason
) -> None:
    changes = [
        change(account, "connected connecting", reason=reason),
        change(account, "connecting connected", at=NOW + MINUTE, reason=Reason.NONE),
    ]

    for each in changes:
        assert notify_connection_changes([each]) == []


@pytest.mark.parametrize("reason", [Reason.REQUESTED, Reason.RESTORED])
def test_it_tells_a_login_anew_that_fails(account: ConnectedAccount, reason: Reason) -> None:
    notify_connection_changes([change(account, "connected connecting", reason=reason)])

    [told] = notify_connection_changes(
        [change(account, "connecting error", at=NOW + MINUTE, reason=Reason.WRONG_PASSWORD)]
    )

    assert told.type == "connection_lost"
    assert "The broker refused the login" in told.body


def test_it_tells_a_loss_once_that_goes_through_connecting(
    account: ConnectedAccount, alice: User
) -> None:
    notify_connection_changes([change(account, "connected connecting")])

    assert notify_connection_changes([change(account, "connecting error", at=NOW + MINUTE)]) == []
    assert titles(alice) == ["Connection lost: Alpha 3"]


def test_it_tells_what_a_batch_comes_to(account: ConnectedAccount, alice: User) -> None:
    blink = [
        change(account, "connected error"),
        change(account, "error connected", at=NOW + INSTANT, reason=Reason.NONE),
    ]
    assert notify_connection_changes(blink) == []

    lost_in_the_end = [
        *blink,
        change(account, "connected error", at=NOW + MINUTE, reason=Reason.NO_ANSWER),
    ]
    [told] = notify_connection_changes(lost_in_the_end)
    assert "The terminal does not answer." in told.body


@pytest.mark.parametrize(
    ("pause", "count"), [(FLAPPING - INSTANT, 1), (FLAPPING, 2), (FLAPPING + INSTANT, 2)]
)
def test_it_does_not_tell_a_flapping_account_again_and_again(
    account: ConnectedAccount, alice: User, pause: timedelta, count: int
) -> None:
    lose(account)
    restore(account, NOW + MINUTE)
    Notification.objects.update(read_at=NOW + 2 * MINUTE)

    lose(account, NOW + pause)

    losses = Notification.objects.filter(type="connection_lost")
    assert losses.count() == count
    assert losses.order_by("-created_at")[0].read_at is None


def test_it_counts_no_loss_with_one_before_a_return(account: ConnectedAccount, alice: User) -> None:
    make_channel(alice)
    DeliverySettings.objects.create(user=alice, repeat_minutes=120)
    for at in (NOW, NOW + FLAPPING):
        lose(account, at)
        restore(account, at + MINUTE)

    route_due(clock=lambda: NOW + 2 * FLAPPING)

    assert Notification.objects.shown().count() == 4
    assert Delivery.objects.filter(transport="email").count() == 4


def test_it_shows_the_truth_about_a_flapping_account(
    account: ConnectedAccount, alice: User
) -> None:
    for second in (0, 60, 120):
        lose(account, NOW + timedelta(seconds=second))
        assert titles(alice) == ["Connection lost: Alpha 3"]
        restore(account, NOW + timedelta(seconds=second + 30))
        assert titles(alice) == ["Connection restored: Alpha 3", "Connection lost: Alpha 3"]
    loss = Notification.objects.get(type="connection_lost")
    assert "It was lost 3 times within 5 minutes." in loss.body


def test_it_pushes_a_loss_that_is_told_again(
    account: ConnectedAccount,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    lose(account)
    pushed: list[Notification] = []
    monkeypatch.setattr(connections_module, "push", pushed.extend)

    with django_capture_on_commit_callbacks(execute=True):
        assert lose(account, NOW + MINUTE) == []

    assert [row.object_id for row in pushed] == [str(account.pk)]
    assert pushed[0].read_at is None


def test_it_tells_each_user_of_their_own_accounts(
    account: ConnectedAccount, alice: User, bob: User
) -> None:
    beta = make_account(bob, "Beta", state="connected")

    notify_connection_changes([change(account, "connected error"), change(beta, "connected error")])

    assert titles(alice) == ["Connection lost: Alpha 3"]
    assert titles(bob) == ["Connection lost: Beta"]


def test_it_leaves_out_an_account_that_is_gone(account: ConnectedAccount) -> None:
    lost = change(account, "connected error")
    account.delete()

    assert notify_connection_changes([lost]) == []


def test_it_needs_no_more_queries_for_more_accounts(
    alice: User, django_assert_num_queries: Any
) -> None:
    accounts = [make_account(alice, f"Alpha {n}", state="connected") for n in range(24)]

    for some, at in ((accounts[:2], NOW), (accounts[2:], NOW)):
        lost = [change(account, "connected error", at=at) for account in some]
        with django_assert_num_queries(9):
            notify_connection_changes(lost)
        again = [change(account, "connected error", at=at + MINUTE) for account in some]
        with django_assert_num_queries(8):
            notify_connection_changes(again)


def test_it_costs_nothing_when_nothing_was_lost_or_came_back(
    account: ConnectedAccount, django_assert_num_queries: Any
) -> None:
    changes = [change(account, "disconnected connecting")]
    with django_assert_num_queries(0):
        notify_connection_changes(changes)
        notify_connection_changes([])

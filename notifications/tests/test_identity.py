"""A terminal that answers for another account is told as that, urgently and once."""

from datetime import datetime, timedelta

import pytest

from accounts.models import AccountConnection, ConnectedAccount, ConnectionLog, User
from accounts.sessions.states import ConnectionChange, Reason
from accounts.tests.factories import NOW, make_account
from notifications.models import Notification
from notifications.services import notify_connection_changes
from notifications.services.connections import MISMATCH_REPEATS

MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice, "Alpha 3", state="connected", server="Example-Live", login=4711)


def happen(
    account: ConnectedAccount,
    steps: str,
    at: datetime = NOW,
    reason: Reason = Reason.WRONG_ACCOUNT,
) -> list[str]:
    """Log and tell a change that is written like "connected error"; return what was told."""
    from_state, to_state = steps.split()
    ConnectionLog.objects.create(
        account_id=account.pk,
        user_id=account.user_id,
        account_name=account.name,
        from_state=from_state,
        to_state=to_state,
        reason=reason,
        created_at=at,
    )
    change = ConnectionChange(
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
    return [row.type for row in notify_connection_changes([change])]


def come_back(account: ConnectedAccount, at: datetime) -> list[str]:
    return happen(account, "error connected", at, Reason.NONE)


def test_it_is_urgent_and_says_which_account_is_meant(account: ConnectedAccount) -> None:
    assert happen(account, "connected error") == ["identity_mismatch"]

    told = Notification.objects.get()
    assert (told.priority, told.title) == ("urgent", "Another account answered: Alpha 3")
    assert "4711 at Example-Live" in told.body
    assert (told.object_type, told.object_id) == ("account", str(account.pk))
    assert told.link == f"/accounts/{account.pk}"


@pytest.mark.parametrize("steps", ["connected error", "connecting error", "error error"])
def test_it_is_told_whenever_it_is_found_out(account: ConnectedAccount, steps: str) -> None:
    assert happen(account, steps) == ["identity_mismatch"]


def test_another_reason_in_the_middle_of_a_loss_is_not(account: ConnectedAccount) -> None:
    assert happen(account, "error error", reason=Reason.NO_ANSWER) == []


def test_it_is_told_in_the_middle_of_a_loss_that_was_told(account: ConnectedAccount) -> None:
    assert happen(account, "connected error", reason=Reason.NO_ANSWER) == ["connection_lost"]
    assert happen(account, "error error", NOW + MINUTE) == ["identity_mismatch"]
    assert come_back(account, NOW + 5 * MINUTE) == ["connection_restored"]
    assert "after 5\xa0minutes" in Notification.objects.get(type="connection_restored").body


@pytest.mark.parametrize(
    ("pause", "count"),
    [(MISMATCH_REPEATS - INSTANT, 0), (MISMATCH_REPEATS, 1), (MISMATCH_REPEATS + INSTANT, 1)],
)
def test_it_is_told_once_a_day_while_it_lasts(
    account: ConnectedAccount, pause: timedelta, count: int
) -> None:
    happen(account, "connected error")

    assert len(happen(account, "error error", NOW + pause)) == count


def test_it_is_told_again_after_a_return(account: ConnectedAccount) -> None:
    happen(account, "connected error")
    assert come_back(account, NOW + MINUTE) == ["connection_restored"]
    assert happen(account, "connected error", NOW + 2 * MINUTE) == ["identity_mismatch"]

    told = Notification.objects.filter(type="identity_mismatch")
    assert len({row.repeat_key for row in told}) == 2  # else the return would be the last word


def test_a_loss_after_it_is_told_too(account: ConnectedAccount) -> None:
    happen(account, "connected error")
    come_back(account, NOW + MINUTE)

    lost = happen(account, "connected error", NOW + 2 * MINUTE, Reason.NO_ANSWER)

    assert lost == ["connection_lost"]


def test_a_change_that_is_handed_over_twice_is_told_once(account: ConnectedAccount) -> None:
    assert happen(account, "connected error") == ["identity_mismatch"]
    assert happen(account, "connected error") == []


@pytest.mark.parametrize("asked_by", ["disconnect", "deactivate"])
def test_it_says_nothing_of_an_account_that_nobody_wants(
    account: ConnectedAccount, asked_by: str
) -> None:
    if asked_by == "disconnect":
        AccountConnection.objects.update(is_wanted=False)
    else:
        ConnectedAccount.objects.update(is_active=False)

    assert happen(account, "connected error") == []

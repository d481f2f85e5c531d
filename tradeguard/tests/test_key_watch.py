"""Users hear that a key expires before it does."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiKey, ConnectedAccount, User
from accounts.tests.factories import NOW, make_account
from notifications.models import Notification
from tradeguard.key_watch import AHEAD, watch_keys

INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def key(alice: User, redis: Any) -> ApiKey:
    account = make_account(alice, "Alpha 1", state="connected", with_key=True)
    assert account.api_key is not None
    return account.api_key


def expire(key: ApiKey, at: datetime) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=at)


@pytest.mark.parametrize(
    ("left", "is_told"),
    [(max(AHEAD) + INSTANT, False), (max(AHEAD), True), (INSTANT, True), (timedelta(0), False)],
)
def test_it_tells_while_there_is_time(key: ApiKey, left: timedelta, is_told: bool) -> None:
    expire(key, NOW + left)
    assert bool(watch_keys(now=NOW)) is is_told


def test_it_tells_what_that_means(key: ApiKey, alice: User, client: Client) -> None:
    User.objects.update(time_zone="Europe/Prague")
    expire(key, NOW + 2 * DAY)
    [told] = watch_keys(now=NOW)
    assert (told.user, told.type, told.priority) == (alice, "security", "high")
    assert "expires on 22 Nov 2026 13:00 (Europe/Prague)" in told.body
    assert "nobody watches Alpha 1:" in told.body
    client.force_login(alice)
    assert client.get(told.link).status_code == 200


def test_it_tells_twice_and_no_more(key: ApiKey) -> None:
    expire(key, NOW + 3 * DAY)
    told = 0
    for hour in range(72):
        told += len(watch_keys(now=NOW + timedelta(hours=hour)))
        Notification.objects.all().delete()
    assert told == len(AHEAD)


def test_it_tells_nothing_of_a_key_that_nobody_needs(key: ApiKey) -> None:
    expire(key, NOW + DAY)
    ConnectedAccount.objects.update(is_active=False)
    assert watch_keys(now=NOW) == []


def test_it_tells_nothing_of_a_key_that_is_switched_off(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=NOW + DAY, status="inactive")
    assert watch_keys(now=NOW) == []

"""Users hear when nothing watches their accounts any more, once, and when something does again."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from redis import ConnectionError as RedisAway

from accounts.models import AccountConnection, ConnectedAccount, User
from accounts.redis import tick_key
from accounts.tests.factories import NOW, make_account, make_host, make_user
from notifications.models import Notification
from tradeguard import host_watch
from tradeguard.host_watch import LONGEST_SILENCE, watch_hosts

SECOND = timedelta(seconds=1)
INSTANT = timedelta(microseconds=1000)


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice, "Alpha 1", state="connected")


def tick(redis: Any, at: datetime, host: str = "local") -> None:
    redis.hset(tick_key(host), "at", at.timestamp())


def look(until: datetime, since: datetime = NOW) -> list[str]:
    """Look every 10 s, as beat asks for it; return what was told at the very end."""
    at = since
    while at < until:
        watch_hosts(now=at)
        at += 10 * SECOND
    return [row.title for row in watch_hosts(now=until)]


SILENT = "Nothing is watched on local"
BACK = "local is watched again"


@pytest.mark.parametrize(
    ("silence", "told"),
    [(LONGEST_SILENCE, []), (LONGEST_SILENCE + INSTANT, [SILENT])],
)
def test_it_tells_a_host_that_is_silent(
    account: ConnectedAccount, redis: Any, silence: timedelta, told: list[str]
) -> None:
    tick(redis, NOW)

    assert look(NOW + silence) == told


def test_it_tells_what_that_means(account: ConnectedAccount, alice: User, redis: Any) -> None:
    User.objects.update(time_zone="Europe/Prague")
    make_account(alice, "Beta 2", state="error")
    make_account(alice, "Idle")
    tick(redis, NOW)
    look(NOW + 40 * SECOND)

    told = Notification.objects.get()
    assert (told.type, told.priority, told.user) == ("system_alert", "urgent", alice)
    assert "since 20 Nov 13:00:00 (40 s)" in told.body
    assert "the rules of Alpha 1 and Beta 2 are not checked" in told.body
    assert (told.object_type, told.object_id) == ("terminal_host", "local")


def test_it_tells_it_once_as_long_as_it_lasts(account: ConnectedAccount, redis: Any) -> None:
    tick(redis, NOW)
    look(NOW + 600 * SECOND)

    assert Notification.objects.count() == 1


def test_it_tells_it_once_also_to_whoever_deletes_it(account: ConnectedAccount, redis: Any) -> None:
    tick(redis, NOW)
    look(NOW + 60 * SECOND)
    Notification.objects.all().delete()

    assert look(NOW + 120 * SECOND, NOW + 70 * SECOND) == []


def test_it_tells_the_return_once_also_to_whoever_deletes_it(
    account: ConnectedAccount, redis: Any
) -> None:
    tick(redis, NOW)
    look(NOW + 60 * SECOND)
    tick(redis, NOW + 69 * SECOND)
    watch_hosts(now=NOW + 70 * SECOND)
    Notification.objects.filter(title=BACK).delete()
    tick(redis, NOW + 79 * SECOND)

    assert watch_hosts(now=NOW + 80 * SECOND) == []


def test_it_tells_the_return_to_whom_it_told_the_silence(
    account: ConnectedAccount, bob: User, redis: Any
) -> None:
    tick(redis, NOW)
    look(NOW + 60 * SECOND)
    make_account(bob, "Beta", state="connected")
    tick(redis, NOW + 69 * SECOND)

    assert [row.user for row in watch_hosts(now=NOW + 70 * SECOND)] == [account.user]
    assert watch_hosts(now=NOW + 71 * SECOND) == []
    told = Notification.objects.get(title=BACK)
    assert told.priority == "urgent"
    assert "Alpha 1" in told.body


def test_it_tells_each_silence(account: ConnectedAccount, redis: Any) -> None:
    for begin in (NOW, NOW + 100 * SECOND):
        tick(redis, begin)
        look(begin + 50 * SECOND, since=begin)

    titles = Notification.objects.order_by("created_at").values_list("title", flat=True)
    assert list(titles) == [SILENT, BACK, SILENT]
    assert len(set(Notification.objects.values_list("repeat_key", flat=True))) == 3


def test_it_tells_a_host_that_never_began(account: ConnectedAccount) -> None:
    assert look(NOW + 30 * SECOND) == []
    assert look(NOW + 31 * SECOND, since=NOW + 30 * SECOND) == [SILENT]
    assert "no sign of life from local yet" in Notification.objects.get().body


def test_it_gives_hosts_time_after_it_was_away_itself(
    account: ConnectedAccount, redis: Any
) -> None:
    tick(redis, NOW - timedelta(hours=8))

    assert look(NOW + LONGEST_SILENCE) == []
    morning = NOW + timedelta(hours=8)  # nobody looked meanwhile: the machine slept
    assert look(morning + LONGEST_SILENCE, since=morning) == []
    assert look(morning + 31 * SECOND, since=morning + LONGEST_SILENCE) == [SILENT]


@pytest.mark.parametrize("what", ["unwanted", "inactive", "user"])
def test_it_says_nothing_where_nothing_should_be_watched(
    account: ConnectedAccount, redis: Any, what: str
) -> None:
    if what == "unwanted":
        AccountConnection.objects.update(is_wanted=False)
    elif what == "inactive":
        ConnectedAccount.objects.update(is_active=False)
    else:
        User.objects.update(is_active=False)
    tick(redis, NOW)

    assert look(NOW + 60 * SECOND) == []


def test_it_tells_staff_and_those_of_that_host_alone(
    account: ConnectedAccount, bob: User, redis: Any
) -> None:
    make_account(bob, "Beta", state="connected", terminal_host=make_host("other"))
    staff = make_user("sam", is_staff=True)
    tick(redis, NOW)
    for second in range(0, 61, 10):
        tick(redis, NOW + second * SECOND, host="other")
        watch_hosts(now=NOW + second * SECOND)

    told = Notification.objects.values_list("user", flat=True)
    assert sorted(told) == sorted([account.user_id, staff.pk])


def test_it_survives_without_redis(
    account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Any:
        raise RedisAway("gone")

    monkeypatch.setattr(host_watch, "redis_client", away)

    assert watch_hosts(now=NOW) == []


def test_it_needs_no_more_queries_for_more_users(
    account: ConnectedAccount, redis: Any, django_assert_num_queries: Any
) -> None:
    tick(redis, NOW)
    look(NOW + LONGEST_SILENCE)
    for number in range(9):
        make_account(make_user(f"user-{number}"), f"Alpha {number}", state="connected")

    with django_assert_num_queries(8):
        assert len(watch_hosts(now=NOW + 31 * SECOND)) == 10
    with django_assert_num_queries(3):
        assert watch_hosts(now=NOW + 41 * SECOND) == []

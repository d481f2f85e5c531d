from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings

from accounts.history.minutes import MinuteCollector
from accounts.history.snapshots import LATE, prune, roll_up, write_minute
from accounts.models import ConnectedAccount, EquitySnapshot, User
from accounts.services.accounts import delete_account
from accounts.tasks import roll_up_equity
from accounts.tests.factories import make_account
from accounts.tests.history_rows import make_snapshot
from accounts.tests.polls import poll_of

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DAYS = 24 * HOUR


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice)


def store(accounts: Sequence[ConnectedAccount], at: datetime, *equities: float) -> None:
    """Store the minute at `at` as it is after a tick of each of these equities."""
    collector = MinuteCollector()
    for equity in equities:
        collector.note(poll_of(accounts, at, equity=equity))
    minute = collector.take()
    assert minute is not None
    write_minute(minute)


def figures(snapshot: EquitySnapshot) -> tuple[Any, ...]:
    names = ("equity", "equity_low", "equity_high", "readings")
    return tuple(getattr(snapshot, name) for name in names)


def of_resolution(resolution: int) -> list[EquitySnapshot]:
    return list(EquitySnapshot.objects.filter(resolution=resolution).order_by("at"))


def test_it_stores_a_minute(account: ConnectedAccount) -> None:
    store([account], START, 99.5, 101.23456, 100.0)
    [snapshot] = of_resolution(60)
    assert (snapshot.account, snapshot.at) == (account, START)
    assert (snapshot.server, snapshot.login) == (account.server, account.login)
    assert figures(snapshot) == (Decimal(100), Decimal("99.5"), Decimal("101.2346"), 3)
    assert (snapshot.balance, snapshot.margin) == (Decimal(100_000), Decimal("12.5"))
    assert snapshot.position_count == 2


@pytest.mark.parametrize("equity", [1e13, -1e300])
def test_what_cannot_be_money_stops_no_other(
    alice: User, account: ConnectedAccount, equity: float
) -> None:
    collector = MinuteCollector()
    accounts = [account, make_account(alice, "Beta")]
    collector.note(poll_of(accounts, START, equity=[equity, 100.0]))
    minute = collector.take()
    assert minute is not None
    write_minute(minute)
    assert [snapshot.account for snapshot in of_resolution(60)] == [accounts[1]]


def test_it_puts_the_parts_of_a_minute_together(account: ConnectedAccount) -> None:
    store([account], START, 90.0, 95.0)
    store([account], START, 120.0, 110.0)
    [snapshot] = of_resolution(60)
    assert figures(snapshot) == (Decimal(110), Decimal(90), Decimal(120), 4)


def test_it_puts_no_two_logins_together(account: ConnectedAccount) -> None:
    store([account], START, 90.0)
    account.login += 1
    store([account], START, 120.0)
    [snapshot] = of_resolution(60)
    assert (snapshot.login, *figures(snapshot)) == (account.login, 120, 120, 120, 1)


def test_it_leaves_out_accounts_that_are_gone(alice: User, account: ConnectedAccount) -> None:
    gone, archived = make_account(alice, "Gone"), make_account(alice, "Archived")
    accounts = [account, gone, archived]
    collector = MinuteCollector()
    collector.note(poll_of(accounts, START))
    minute = collector.take()
    gone.delete()
    delete_account(account=archived, now=START)
    assert minute is not None
    write_minute(minute)
    assert {snapshot.account_id for snapshot in of_resolution(60)} == {account.pk, archived.pk}


def test_it_rolls_minutes_up_to_hours_and_days(account: ConnectedAccount, alice: User) -> None:
    other = make_account(alice, "Beta")
    late = START.replace(hour=23, minute=58)
    for number in range(4):  # two minutes of one day, two of the next
        low, high = Decimal(100 - number), Decimal(200 + number)
        make_snapshot(
            account,
            late + number * MINUTE,
            equity=Decimal(150 + number),
            equity_low=low,
            equity_high=high,
            readings=10,
        )
    make_snapshot(other, START)
    roll_up()
    hours = [snapshot for snapshot in of_resolution(3600) if snapshot.account == account]
    assert [snapshot.at for snapshot in hours] == [late.replace(minute=0), late + 2 * MINUTE]
    assert [figures(snapshot) for snapshot in hours] == [
        (151, 99, 201, 20),
        (153, 97, 203, 20),
    ]
    days = [snapshot for snapshot in of_resolution(86400) if snapshot.account == account]
    assert [snapshot.at for snapshot in days] == [START.replace(hour=0), late + 2 * MINUTE]
    assert [figures(snapshot) for snapshot in days] == [
        (151, 99, 201, 20),
        (153, 97, 203, 20),
    ]
    assert len(of_resolution(3600)) == 3


def test_it_can_be_repeated_and_completed(account: ConnectedAccount) -> None:
    make_snapshot(account, START)
    roll_up()
    roll_up()
    assert [snapshot.readings for snapshot in of_resolution(3600)] == [300]
    make_snapshot(account, START + 59 * MINUTE, equity_low=Decimal(5))
    roll_up()
    for resolution in (3600, 86400):
        [snapshot] = of_resolution(resolution)
        assert (snapshot.readings, snapshot.equity_low) == (600, Decimal(5))


def test_it_makes_up_for_what_came_late_or_was_missed(account: ConnectedAccount) -> None:
    make_snapshot(account, START)
    roll_up()
    make_snapshot(account, START - LATE)
    for days in (1, 2):  # nobody rolled up for two days
        make_snapshot(account, START + days * DAY)
    roll_up()
    assert [snapshot.at for snapshot in of_resolution(3600)] == [
        START - LATE,
        START,
        START + DAY,
        START + 2 * DAY,
    ]
    assert [snapshot.readings for snapshot in of_resolution(86400)] == [600, 300, 300]


def test_an_hour_shows_the_login_that_it_ended_with(account: ConnectedAccount) -> None:
    make_snapshot(account, START, equity_high=Decimal(999_999), login=1)
    make_snapshot(account, START + MINUTE, login=2)
    roll_up()
    [hour] = of_resolution(3600)
    assert (hour.login, hour.equity_high, hour.readings) == (2, Decimal(100_000), 300)


def test_it_rolls_nothing_up_without_minutes(account: ConnectedAccount) -> None:
    roll_up()
    assert not EquitySnapshot.objects.exists()


@pytest.mark.parametrize(("resolution", "kept_days"), [(60, 7), (3600, 400), (86400, None)])
def test_it_keeps_minutes_and_hours_for_a_time_and_days_for_ever(
    account: ConnectedAccount, resolution: int, kept_days: int | None
) -> None:
    limit = START - (kept_days or 4000) * DAY
    moments = [limit - MINUTE, limit, limit + MINUTE]
    for at in moments:
        make_snapshot(account, at, resolution=resolution)
    deleted = prune(now=START, minutes_kept=7 * DAY, hours_kept=400 * DAY)
    kept = [snapshot.at for snapshot in of_resolution(resolution)]
    assert (deleted, kept) == ((1, moments[1:]) if kept_days else (0, moments))


@override_settings(EQUITY_MINUTES_KEPT_DAYS=1, EQUITY_HOURS_KEPT_DAYS=2)
def test_the_task_rolls_up_before_it_deletes(account: ConnectedAccount) -> None:
    make_snapshot(account, START - 3 * DAY)
    roll_up_equity()
    assert [snapshot.resolution for snapshot in EquitySnapshot.objects.all()] == [86400]

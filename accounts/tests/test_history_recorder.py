from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError, OperationalError

from accounts.history import recorder as recorders
from accounts.history.recorder import MOST_ATTEMPTS, RETRY_SECONDS, HistoryRecorder
from accounts.models import ConnectedAccount, Deal, EquitySnapshot, User
from accounts.tests.factories import NOW, make_account
from accounts.tests.polls import deal_rows, poll_of


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice)


class Failing:
    """Stands in front of a writer and fails so many times."""

    def __init__(self, write: Any, error: Exception, times: int) -> None:
        self.write, self.error, self.times, self.calls = write, error, times, 0

    def __call__(self, *what: Any) -> object:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return self.write(*what)


def fail(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception, times: int) -> Failing:
    failing = Failing(getattr(recorders, name), error, times)
    monkeypatch.setattr(recorders, name, failing)
    return failing


def poll(account: ConnectedAccount, seconds: float, *tickets: int) -> Any:
    deals = deal_rows(*({"ticket": ticket} for ticket in tickets))
    return poll_of([account], NOW + timedelta(seconds=seconds), deals=deals)


def tickets() -> list[int]:
    return sorted(Deal.objects.values_list("ticket", flat=True))


def test_it_writes_deals_at_once_and_minutes_as_they_end(account: ConnectedAccount) -> None:
    recorder = HistoryRecorder("local", is_inline=True)
    recorder.note(poll(account, 0.0, 1))
    assert tickets() == [1]
    recorder.note(poll(account, 59.8))
    assert not EquitySnapshot.objects.exists()
    recorder.note(poll(account, 60.0, 2))
    assert tickets() == [1, 2]
    assert [snapshot.readings for snapshot in EquitySnapshot.objects.all()] == [2]
    recorder.close()
    assert [snapshot.readings for snapshot in EquitySnapshot.objects.all()] == [2, 1]


def test_it_waits_for_a_database_that_is_away(
    account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = fail(monkeypatch, "write_deals", OperationalError("gone"), times=MOST_ATTEMPTS + 2)
    recorder = HistoryRecorder("local", is_inline=True)
    recorder.note(poll(account, 0.0, 1))
    recorder.note(poll(account, 0.2, 2))
    recorder.note(poll(account, 0.2 + RETRY_SECONDS - 0.01))
    assert failing.calls == 1
    for number in range(1, MOST_ATTEMPTS + 3):
        recorder.note(poll(account, (number + 1) * (RETRY_SECONDS + 0.2)))
        recorder.note(poll(account, (number + 1) * (RETRY_SECONDS + 0.2) + 0.1))
    assert tickets() == [1, 2]


def test_it_tries_once_more_before_it_lets_go(
    account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, "write_deals", OperationalError("gone"), times=1)
    recorder = HistoryRecorder("local", is_inline=True)
    recorder.note(poll(account, 0.0, 1))
    recorder.close()
    assert tickets() == [1]


def test_it_gives_up_what_the_database_refuses(
    account: ConnectedAccount,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing = fail(monkeypatch, "write_deals", DataError("too long"), times=MOST_ATTEMPTS)
    recorder = HistoryRecorder("local", is_inline=True)
    recorder.note(poll(account, 0.0, 1))
    recorder.note(poll(account, 0.2, 2))
    for number in range(1, 2 * MOST_ATTEMPTS):
        recorder.note(poll(account, number * (RETRY_SECONDS + 0.2)))
        recorder.note(poll(account, number * (RETRY_SECONDS + 0.2) + 0.1))
    assert failing.calls == MOST_ATTEMPTS + 1
    assert tickets() == [2]
    assert "is lost" in caplog.text


def test_it_keeps_only_so_many_minutes(
    account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorders, "_MOST_MINUTES", 2)
    fail(monkeypatch, "write_minute", OperationalError("gone"), times=4)
    recorder = HistoryRecorder("local", is_inline=True)
    for minute in range(6):
        recorder.note(poll(account, 60.0 * minute))
        recorder.note(poll(account, 60.0 * minute + 30))
    recorder.close()
    kept = [snapshot.at.minute for snapshot in EquitySnapshot.objects.order_by("at")]
    assert kept[-2:] == [4, 5]
    assert 0 not in kept


@pytest.mark.django_db(transaction=True)
def test_it_writes_in_a_thread_of_its_own(account: ConnectedAccount) -> None:
    recorder = HistoryRecorder("local")
    recorder.note(poll(account, 0.0, 1, 2))
    recorder.close()
    assert tickets() == [1, 2]
    assert EquitySnapshot.objects.count() == 1

"""The thread that writes what the tick hands over."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from threading import get_ident
from unittest.mock import patch

import pytest
from django.db import DataError, OperationalError

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.models import Notification
from notifications.services import Message
from notifications.tests.factories import make_message
from risk.notices import writer as writers
from risk.notices.writer import PER_TICK, RETRY_SECONDS, NoticeWriter

pytestmark = pytest.mark.django_db


def message(user: User, key: str) -> Message:
    return make_message(user, dedupe_key=key)


def told() -> list[str]:
    return sorted(Notification.objects.values_list("dedupe_key", flat=True))


def test_it_writes_what_was_added_when_it_is_flushed(alice: User) -> None:
    writer = NoticeWriter("local", is_inline=True)
    writer.add([message(alice, "a"), message(alice, "b")])
    writer.add([])
    assert told() == []
    writer.flush(NOW, 0.0)
    assert told() == ["a", "b"]
    assert set(Notification.objects.values_list("created_at", flat=True)) == {NOW}


def test_it_asks_the_database_which_of_them_are_news(alice: User) -> None:
    writer = NoticeWriter("local", is_inline=True)

    def choose(messages: Sequence[Message], now: datetime) -> Sequence[Message]:
        assert now == NOW
        return messages[:1]

    writer.later(lambda: [message(alice, "a"), message(alice, "b")], choose)
    writer.flush(NOW, 0.0)
    assert told() == ["a"]


def test_it_waits_for_the_database_and_keeps_the_order(alice: User) -> None:
    writer = NoticeWriter("local", is_inline=True)
    writer.add([message(alice, "a")])
    with patch.object(writers, "notify", side_effect=OperationalError("away")) as refusing:
        writer.flush(NOW, 0.0)
        writer.add([message(alice, "b")])
        writer.flush(NOW, 1.0)
        writer.flush(NOW, 1.0 + RETRY_SECONDS - 0.01)
        assert refusing.call_count == 1
    writer.flush(NOW, 1.0 + RETRY_SECONDS)
    assert told() == ["a", "b"]


def test_words_are_found_once_though_the_database_is_away(alice: User) -> None:
    writer = NoticeWriter("local", is_inline=True)
    calls = []

    def build() -> Sequence[Message]:
        calls.append(1)
        return [message(alice, "a")]

    writer.later(build)
    with patch.object(writers, "notify", side_effect=OperationalError("away")):
        for second in range(10):
            writer.flush(NOW, float(second))
    writer.close(NOW)
    assert calls == [1]
    assert told() == ["a"]


@pytest.mark.parametrize("error", [DataError("too long"), ValueError("wrong")])
def test_what_cannot_be_told_holds_nothing_up(
    alice: User, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    writer = NoticeWriter("local", is_inline=True)

    def broken() -> Sequence[Message]:
        raise error

    def refused(messages: Sequence[Message], now: datetime) -> Sequence[Message]:
        raise error

    writer.later(broken)
    writer.add([message(alice, "a")], refused)
    writer.add([message(alice, "b")])
    writer.flush(NOW, 0.0)
    assert told() == ["b"]
    assert "could not be told" in caplog.text
    assert "are lost" in caplog.text


def test_it_keeps_only_so_many(
    alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writers, "MOST_WAITING", 2)
    writer = NoticeWriter("local", is_inline=True)
    for key in "abc":
        writer.add([message(alice, key)])
    with patch.object(writers, "notify", side_effect=OperationalError("away")):
        writer.flush(NOW, 0.0)
    writer.close(NOW)
    assert told() == ["a", "b"]
    assert "given up" in caplog.text


def test_each_tick_writes_so_many(alice: User) -> None:
    writer = NoticeWriter("local", is_inline=True)
    writer.later(lambda: (message(alice, f"{number:04}") for number in range(2 * PER_TICK + 50)))
    writer.add([message(alice, "last")])
    counts = []
    for tick in range(4):
        writer.flush(NOW, tick * 0.2)
        counts.append(Notification.objects.count())
    assert counts == [PER_TICK, 2 * PER_TICK, 2 * PER_TICK + 51, 2 * PER_TICK + 51]


def test_words_are_found_so_many_a_tick_while_the_database_is_away(alice: User) -> None:
    writer = NoticeWriter("local", is_inline=True)
    found = []

    def build() -> Iterator[Message]:
        for number in range(PER_TICK + 1):
            found.append(number)
            yield message(alice, f"{number:04}")

    writer.later(build)
    with patch.object(writers, "notify", side_effect=OperationalError("away")):
        writer.flush(NOW, 0.0)
        assert len(found) == PER_TICK
        writer.flush(NOW, 0.2)
        assert len(found) == PER_TICK + 1
    writer.close(NOW)
    assert Notification.objects.count() == PER_TICK + 1


def test_it_tells_what_the_database_answers(alice: User) -> None:
    writer = NoticeWriter("local", is_inline=True)
    writer.ask(lambda now: [message(alice, f"{now:%H}")])
    with patch.object(writers, "notify", side_effect=OperationalError("away")):
        writer.flush(NOW, 0.0)
    writer.close(NOW)
    assert told() == [f"{NOW:%H}"]


@pytest.mark.django_db(transaction=True)
def test_it_writes_in_a_thread_of_its_own(alice: User) -> None:
    writer = NoticeWriter("local")
    threads = []

    def build() -> Sequence[Message]:
        threads.append(get_ident())
        return [message(alice, "a")]

    writer.later(build)
    writer.flush(NOW, 0.0)
    writer.close(NOW)
    assert told() == ["a"]
    assert threads != [get_ident()]

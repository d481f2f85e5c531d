"""What is remembered of a provider's followers, by two threads at once."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from accounts.models import User
from accounts.tests.factories import NOW, make_account
from copytrade.replication.followers import FollowerBook
from copytrade.services.states import pause
from copytrade.tests.factories import make_relationship


class Slow:
    """A likeness that is looked up only once another thread is about to do the same."""

    def __init__(self, meeting: threading.Barrier) -> None:
        self._meeting = meeting

    def __hash__(self) -> int:
        self._meeting.wait(10.0)
        return id(self)


def test_two_threads_give_two_likenesses_two_numbers() -> None:
    book, meeting = FollowerBook(), threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        numbers = list(pool.map(book._number, [Slow(meeting), Slow(meeting)]))
    assert len(set(numbers)) == 2


def test_a_likeness_keeps_its_number() -> None:
    book = FollowerBook()
    first = book._number("one")
    assert book._number("other") != first
    assert book._number("one") == first


def states(book: FollowerBook, provider_id: UUID) -> list[str]:
    until = NOW + timedelta(days=1)
    return [each.terms.state.value for each in book.followers(provider_id, until=until)]


@pytest.mark.django_db
def test_what_is_read_before_a_pause_is_never_taken_for_what_is_read_after_it(
    monkeypatch: pytest.MonkeyPatch, alice: User
) -> None:
    row = make_relationship(make_account(alice), make_account(alice))
    book = FollowerBook()
    read = book._all

    def overtaken(provider_id: UUID) -> Sequence[Any]:
        monkeypatch.setattr(book, "_all", read)
        before = read(provider_id)
        pause(relationship=row, actor=alice, now=NOW)
        book.refresh(provider_id)
        return before

    monkeypatch.setattr(book, "_all", overtaken)
    assert states(book, row.provider_id) == ["active"]
    book.refresh(row.provider_id)
    assert states(book, row.provider_id) == ["paused"]


@pytest.mark.django_db
def test_a_list_has_nothing_that_another_thread_has_read_before(
    monkeypatch: pytest.MonkeyPatch, alice: User
) -> None:
    row = make_relationship(make_account(alice), make_account(alice))
    book = FollowerBook()
    assert states(book, row.provider_id) == ["active"]
    old, load = dict(book._known), book._load

    def overtaken(*arguments: Any) -> Any:
        loaded = load(*arguments)
        book._known.update(old)
        return loaded

    pause(relationship=row, actor=alice, now=NOW)
    monkeypatch.setattr(book, "_load", overtaken)
    assert states(book, row.provider_id) == ["paused"]

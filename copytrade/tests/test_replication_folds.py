"""What was written ahead is unfolded by one thread at a time, and each has its turn."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError

from copytrade.models import CopyBatch, CopyEvent
from copytrade.replication import folding
from copytrade.replication.folding import Folds
from copytrade.replication.queueing import Queue
from copytrade.replication.unfolding import Record

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
LONGEST_SECONDS = 10.0


def record() -> Record:
    return Record(uuid4(), None, b"")


def wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + LONGEST_SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.001)


def started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_it_does_not_wait_for_another_thread_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "PATIENCE_SECONDS", 0.0)
    folds, one = Folds("local", lambda: NOW), record()
    folds._queue.acquire()
    with pytest.raises(OperationalError, match="too long"):
        folds.unfold_soon([one])
    assert one.is_folded


@pytest.mark.parametrize("has_failed", [False, True])
def test_it_lets_the_next_one_in(monkeypatch: pytest.MonkeyPatch, has_failed: bool) -> None:
    def unfolded(records: object, now: datetime) -> None:
        del records, now
        if has_failed:
            raise OperationalError("away")

    monkeypatch.setattr(folding, "insert", unfolded)
    folds, one = Folds("local", lambda: NOW), record()
    if has_failed:
        with pytest.raises(OperationalError, match="away"):
            folds.unfold_soon([one])
    else:
        folds.unfold_soon([one])
    assert one.is_folded is has_failed
    assert folds._queue.acquire(0.0)


def test_whoever_needs_one_batch_does_not_wait_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "TOGETHER", 1)
    folds, batches = Folds("local", lambda: NOW), [record() for _ in range(5)]
    done: list[Record] = []

    def unfolded(records: Sequence[Record], now: datetime) -> None:
        del now
        if not done:
            wait_for(lambda: folds._queue.is_waited_for)
        done.extend(records)

    monkeypatch.setattr(folding, "insert", unfolded)
    crowd = started(lambda: folds.unfold(batches))
    wait_for(lambda: folds._queue.is_taken)
    folds.unfold_soon(batches[3:4])
    crowd.join(LONGEST_SECONDS)
    # Each once, and that one right after the one that was under way.
    assert done == [batches[at] for at in (0, 3, 1, 2, 4)]
    assert not any(one.is_folded for one in batches)


def test_a_batch_that_many_answers_name_is_unfolded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inserted: list[Sequence[Record]] = []
    monkeypatch.setattr(folding, "insert", lambda records, now: inserted.append(records))
    folds, first, second = Folds("local", lambda: NOW), record(), record()
    folds.unfold([first] * 30 + [second] * 20)
    assert inserted == [[first, second]]


@pytest.mark.django_db
def test_what_a_thread_has_in_hand_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    folds, event = Folds("local", lambda: NOW), CopyEvent(pk=uuid4(), provider_id=uuid4())
    mine = folds.write(event, 0, [[], []])
    successor = Folds("local", lambda: NOW)
    # Nobody has this one in hand any more.
    successor.write(event, 2, [[]])
    read: list[int] = []
    really = Folds._read

    def counted(folds: Folds, ids: Sequence[UUID]) -> list[Record]:
        read.append(len(ids))
        return really(folds, ids)

    monkeypatch.setattr(Folds, "_read", counted)
    folds.unfold_left()
    assert read == [1]
    assert not any(one.is_folded for one in mine)
    assert not CopyBatch.objects.filter(unfolded_at=None).exists()
    assert not folds.may_be_left


def test_who_has_come_first_is_next() -> None:
    queue, came = Queue(), list[int]()
    queue.acquire()

    def come(number: int) -> None:
        queue.acquire()
        came.append(number)
        queue.release()

    threads = []
    for number in range(5):
        threads.append(started(partial(come, number)))
        wait_for(lambda: len(queue._waiting) == len(threads))
    queue.release()
    # Not even whoever has just had it comes before them.
    queue.acquire()
    assert came == [0, 1, 2, 3, 4]
    queue.release()
    for thread in threads:
        thread.join(LONGEST_SECONDS)


def test_who_has_gone_gets_no_turn() -> None:
    queue = Queue()
    assert queue.acquire(0.0)
    assert not queue.acquire(0.0)
    assert not queue.acquire(0.001)
    assert not queue.is_waited_for
    queue.release()
    assert not queue.is_taken
    assert queue.acquire(0.0)

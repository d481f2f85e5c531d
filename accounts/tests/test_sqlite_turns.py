"""Threads that write to one SQLite database take turns, and none waits longer than it may."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.db.utils import ConnectionHandler

from accounts.core import write_turns
from accounts.core.write_turns import WriteTurns


class Databases:
    """Connections to one file, each made by the thread that asks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: list[Any] = []

    def open(self, timeout: float = 30.0) -> Any:
        options = {"transaction_mode": "IMMEDIATE", "timeout": timeout}
        given = {"ENGINE": "accounts.sqlite", "NAME": self._path, "OPTIONS": options}
        database = ConnectionHandler({"default": given})["default"]
        database.inc_thread_sharing()
        self._opened.append(database)
        return database

    def close(self) -> None:
        for each in self._opened:
            each.close()


@pytest.fixture
def files(db: None, tmp_path: Path) -> Iterator[Databases]:
    del db
    found = Databases(tmp_path / "desk.sqlite3")
    with found.open().cursor() as cursor:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("CREATE TABLE note (text varchar)")
    yield found
    found.close()


def begin(database: Any) -> None:
    database.ensure_connection()
    database.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)


def write(database: Any, text: str = "x") -> None:
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO note VALUES (%s)", [text])


def notes(database: Any) -> list[str]:
    with database.cursor() as cursor:
        cursor.execute("SELECT text FROM note ORDER BY rowid")
        return [text for (text,) in cursor.fetchall()]


def started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def queue_up(turns: WriteTurns, count: int, work: Callable[[int], object]) -> None:
    """Start threads one after another, each once the one before it waits."""
    for number in range(count):
        started(partial(work, number))
        while len(turns._queue) <= number:
            pass


def test_it_gives_turns_in_the_order_in_which_they_were_asked() -> None:
    turns, order, done = WriteTurns(), [], threading.Semaphore(0)
    first = turns.take(0.0)
    assert first is not None

    def work(number: int) -> None:
        turn = turns.take(30.0)
        order.append(number)
        assert turn is not None
        turns.give_back(turn)
        done.release()

    queue_up(turns, 5, work)
    turns.give_back(first)
    for _ in range(5):
        assert done.acquire(timeout=10.0)
    assert order == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("patience", "expected"),
    [
        ((0.6, 0.9, 0.3), [2, 0, 1]),
        # Beyond a second nobody passes the more patient, or they would wait for all that come.
        ((90.0, 60.0, 0.3), [2, 0, 1]),
        ((60.0, 1.0, 90.0), [0, 1, 2]),
    ],
)
def test_it_lets_in_first_whose_patience_ends_first(
    monkeypatch: pytest.MonkeyPatch, patience: tuple[float, ...], expected: list[int]
) -> None:
    # Nobody's patience ends here, however slow the machine is.
    monkeypatch.setattr(write_turns, "_PASSED_SECONDS", 100.0 * write_turns._PASSED_SECONDS)
    patience = tuple(100.0 * one for one in patience)
    turns, order, done = WriteTurns(), [], threading.Semaphore(0)
    first = turns.take(0.0)
    assert first is not None

    def work(number: int) -> None:
        turn = turns.take(patience[number])
        order.append(number)
        assert turn is not None
        turns.give_back(turn)
        done.release()

    queue_up(turns, 3, work)
    turns.give_back(first)
    for _ in range(3):
        assert done.acquire(timeout=10.0)
    assert order == expected


def test_it_lets_those_in_who_come_first() -> None:
    first_ones: set[int] = set()
    turns = WriteTurns(lambda: threading.get_ident() in first_ones)
    order, done = [], threading.Semaphore(0)
    first = turns.take(0.0)
    assert first is not None

    def work(number: int) -> None:
        if number == 2:
            first_ones.add(threading.get_ident())
        turn = turns.take(30.0)
        order.append(number)
        assert turn is not None
        turns.give_back(turn)
        done.release()

    queue_up(turns, 3, work)
    turns.give_back(first)
    for _ in range(3):
        assert done.acquire(timeout=10.0)
    assert order == [2, 0, 1]


def test_it_waits_no_longer_than_it_may_and_leaves_the_queue() -> None:
    turns = WriteTurns()
    first = turns.take(0.0)
    assert first is not None
    assert turns.take(0.01) is None
    turns.give_back(first)
    assert turns.take(0.0) is not None


def test_it_takes_a_turn_back_once() -> None:
    turns = WriteTurns()
    first = turns.take(0.0)
    assert first is not None
    turns.give_back(first)
    second = turns.take(0.0)
    turns.give_back(first)
    assert second is not None
    assert turns.take(0.01) is None


def test_it_goes_on_where_a_thread_died_in_its_turn() -> None:
    turns = WriteTurns()
    started(lambda: turns.take(0.0)).join(10.0)
    assert turns.take(30.0) is not None


def test_it_forgets_turns_of_threads_that_a_fork_left_behind() -> None:
    turns = WriteTurns()
    assert turns.take(0.0) is not None
    turns.forget()
    assert turns.take(0.0) is not None


def test_it_holds_up_other_writers_until_the_end_of_a_transaction(files: Databases) -> None:
    one, other = files.open(), files.open()
    begin(one)
    write(one, "first")
    thread = started(lambda: write(other, "second"))
    thread.join(0.05)
    assert thread.is_alive()
    one.commit()
    thread.join(10.0)
    assert notes(files.open()) == ["first", "second"]


@pytest.mark.parametrize("ending", ["rollback", "close"])
def test_it_gives_the_turn_back_however_a_transaction_ends(files: Databases, ending: str) -> None:
    one, other = files.open(), files.open(0.0)
    begin(one)
    write(one, "never")
    with pytest.raises(OperationalError, match="locked"):
        write(other)
    getattr(one, ending)()
    write(other, "kept")
    assert notes(other) == ["kept"]


def test_it_gives_the_turn_back_after_a_statement_that_failed(files: Databases) -> None:
    one, other = files.open(), files.open(0.0)
    with pytest.raises(OperationalError, match="no such table"), one.cursor() as cursor:
        cursor.execute("INSERT INTO nowhere VALUES (1)")
    write(other, "kept")
    assert notes(other) == ["kept"]


def test_it_keeps_one_turn_for_nested_transactions(
    files: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = files.open(), files.open(0.0)
    with monkeypatch.context() as patched:
        patched.setattr(transaction, "get_connection", lambda using=None: one)
        with transaction.atomic():
            write(one, "outer")
            with transaction.atomic():
                write(one, "inner")
            with pytest.raises(OperationalError, match="locked"):
                begin(other)
    write(other, "after")
    assert notes(other) == ["outer", "inner", "after"]


def test_it_shares_its_patience_with_the_lock_of_other_processes(files: Databases) -> None:
    """A writer past the queue stands for another process."""
    other = files.open(0.2)
    one = files.open()
    begin(one)
    stranger = files.open()
    stranger.ensure_connection()
    seen: list[int] = []

    def watch(sql: str) -> None:
        if "busy_timeout" in sql:
            seen.append(int(sql.rsplit("=", 1)[1]))

    other.ensure_connection()
    other.connection.set_trace_callback(watch)
    thread = started(lambda: write(other, "late"))
    thread.join(0.05)
    one.rollback()
    thread.join(10.0)
    assert notes(stranger) == ["late"]
    left, again = seen
    assert left < 200
    assert again == 200


def test_it_says_locked_when_another_process_writes(files: Databases) -> None:
    one = files.open(0.0)
    stranger = files.open()
    stranger.ensure_connection()
    stranger.connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"):
        begin(one)
    stranger.connection.execute("ROLLBACK")
    write(one, "kept")
    assert notes(one) == ["kept"]


def test_it_reads_without_a_turn(files: Databases) -> None:
    one, other = files.open(), files.open(0.0)
    begin(one)
    write(one, "unseen")
    assert notes(other) == []
    one.rollback()

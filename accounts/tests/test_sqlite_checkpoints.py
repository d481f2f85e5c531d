"""What is written ahead is brought home beside the writers, when no order is about to leave."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from django.db.utils import ConnectionHandler

from accounts.core.right_of_way import RightOfWay
from accounts.sqlite.checkpoints import CHECKPOINTS, Checkpoints, bring_home_pages

WAIT = 10.0


@pytest.fixture
def file(db: None, tmp_path: Path) -> Path:
    del db
    return tmp_path / "desk.sqlite3"


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(CHECKPOINTS, "note", found.append)
    return found


@pytest.fixture
def database(file: Path, noted: list[str]) -> Iterator[Any]:
    options = {"init_command": "PRAGMA journal_mode = WAL"}
    given = {"ENGINE": "accounts.sqlite", "NAME": file, "OPTIONS": options}
    opened = ConnectionHandler({"default": given})["default"]
    with opened.cursor() as cursor:
        cursor.execute("CREATE TABLE note (text varchar)")
    noted.clear()
    yield opened
    opened.close()


def write(database: Any, rows: int) -> None:
    database.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    with database.cursor() as cursor:
        cursor.executemany("INSERT INTO note VALUES (%s)", [["x" * 5000]] * rows)
    database.commit()
    database.set_autocommit(True)


def test_commits_leave_pages_where_they_are(database: Any, file: Path) -> None:
    write(database, 1500)  # a page each, and more than SQLite leaves by itself
    before = file.stat().st_size
    write(database, 1500)
    assert file.stat().st_size == before
    bring_home_pages(str(file))
    assert file.stat().st_size > before


def test_what_is_written_is_noted(database: Any, file: Path, noted: list[str]) -> None:
    with database.cursor() as cursor:
        cursor.execute("SELECT * FROM note")
    assert noted == []
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO note VALUES ('by itself')")
    assert noted == [str(file)]
    write(database, 1)
    assert noted == [str(file)] * 2


def test_nobody_makes_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        bring_home_pages(str(tmp_path / "gone.sqlite3"))
    assert list(tmp_path.iterdir()) == []


def test_it_brings_home_what_was_noted_and_goes_on_after_an_error() -> None:
    came: SimpleQueue[str] = SimpleQueue()

    def bring_home(name: str) -> None:
        came.put(name)
        raise sqlite3.OperationalError("busy")

    checkpoints = Checkpoints(RightOfWay(), 0.0, bring_home)
    checkpoints.note("one")
    assert came.get(timeout=WAIT) == "one"
    checkpoints.note("one")
    assert came.get(timeout=WAIT) == "one"


def test_it_waits_until_no_order_is_about_to_leave() -> None:
    came: SimpleQueue[str] = SimpleQueue()
    way = RightOfWay()
    checkpoints = Checkpoints(way, 0.0, came.put)
    with way.taken():
        checkpoints.note("one")
        with pytest.raises(Empty):
            came.get(timeout=0.1)
    assert came.get(timeout=WAIT) == "one"


def test_a_forked_process_begins_anew() -> None:
    came: SimpleQueue[str] = SimpleQueue()
    checkpoints = Checkpoints(RightOfWay(), 0.0, came.put)
    checkpoints._names = {"one"}
    checkpoints._thread = threading.Thread()
    checkpoints.forget()
    checkpoints.note("one")
    assert came.get(timeout=WAIT) == "one"

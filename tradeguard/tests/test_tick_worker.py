"""The worker of a host, where the database makes it wait."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.utils import ConnectionHandler

from tradeguard.tick.patience import (
    LOCK_WAIT_MS,
    SQLITE_LOCK_WAIT_MS,
    wait_beside_tick,
    wait_briefly,
)
from tradeguard.tick.worker import HostWorker


def lock_wait_ms(database: Any) -> int:
    with database.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db
def test_it_waits_briefly_for_a_lock_whenever_it_connects(tmp_path: Path) -> None:
    name = tmp_path / "desk.sqlite3"
    # With this patience the test would not end.
    options = {"transaction_mode": "IMMEDIATE", "timeout": 3600}
    given = {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options}
    database = ConnectionHandler({"default": given})["default"]
    wait_briefly(database)
    other = sqlite3.connect(name, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(OperationalError, match="locked"), database.cursor() as cursor:
            cursor.execute("CREATE TABLE late (id integer)")
        assert lock_wait_ms(database) == LOCK_WAIT_MS
        database.close()
    other.close()


@pytest.mark.django_db
def test_what_is_done_beside_the_ticks_is_more_patient_with_sqlite(tmp_path: Path) -> None:
    given = {"ENGINE": "accounts.sqlite", "NAME": tmp_path / "desk.sqlite3", "OPTIONS": {}}
    database = ConnectionHandler({"default": given})["default"]
    wait_beside_tick(database)
    assert lock_wait_ms(database) == SQLITE_LOCK_WAIT_MS
    database.close()


def test_what_is_done_beside_the_ticks_waits_as_briefly_for_rows_of_postgresql() -> None:
    given = {"ENGINE": "django.db.backends.postgresql", "NAME": "desk", "OPTIONS": {}}
    database = ConnectionHandler({"default": given})["default"]
    wait_beside_tick(database)
    assert database.settings_dict["OPTIONS"]["options"] == f"-c lock_timeout={LOCK_WAIT_MS}"


def test_it_keeps_what_else_postgresql_was_told() -> None:
    given = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": {"options": "-c jit=off"}}
    database = ConnectionHandler({"default": {**given, "NAME": "desk"}})["default"]
    wait_briefly(database)
    options = database.settings_dict["OPTIONS"]
    assert options["options"] == f"-c jit=off -c lock_timeout={LOCK_WAIT_MS}"


def test_it_is_the_thread_of_the_ticks_that_is_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    has_ticked = threading.Event()

    def tick(_worker: HostWorker) -> None:
        seen.update(connections["default"].settings_dict["OPTIONS"])
        has_ticked.set()

    monkeypatch.setattr(HostWorker, "tick", tick)
    worker = HostWorker("local")
    worker.driver.start()
    worker.driver.request()
    assert has_ticked.wait(5.0)
    worker.driver.stop()
    others = connections["default"].settings_dict["OPTIONS"]
    assert seen != others
    assert others.get("timeout") != LOCK_WAIT_MS / 1000

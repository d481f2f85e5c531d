"""The worker of a host, where the database makes it wait."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.utils import ConnectionHandler

from tradeguard.tick.patience import LOCK_WAIT_MS, Patience
from tradeguard.tick.worker import HostWorker


@pytest.fixture
def worker() -> Iterator[HostWorker]:
    worker = HostWorker("local")
    yield worker
    worker.let_go()


def lock_wait(database: Any) -> str:
    with database.cursor() as cursor:
        cursor.execute(
            "PRAGMA busy_timeout" if database.vendor == "sqlite" else "SHOW lock_timeout"
        )
        return str(cursor.fetchone()[0]).removesuffix("ms")


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_no_lock_until_readings_are_stale(worker: HostWorker) -> None:
    worker.tick()
    assert lock_wait(connection) == str(LOCK_WAIT_MS)


@pytest.mark.django_db
def test_it_stays_impatient_after_a_reconnect(tmp_path: Path) -> None:
    options = {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "desk.sqlite3"}
    database = ConnectionHandler({"default": options})["default"]
    patience = Patience()
    for _ in range(2):
        patience.limit(database)
        assert lock_wait(database) == str(LOCK_WAIT_MS)
        database.close()
        assert lock_wait(database) != str(LOCK_WAIT_MS)
    database.close()

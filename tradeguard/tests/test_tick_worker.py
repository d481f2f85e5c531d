"""The worker of a host, where the database makes it wait."""

from collections.abc import Iterator

import pytest
from django.db import connection

from tradeguard.tick.patience import LOCK_WAIT_MS
from tradeguard.tick.worker import HostWorker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker() -> Iterator[HostWorker]:
    worker = HostWorker("local")
    yield worker
    worker.let_go()


def lock_wait() -> str:
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout" if is_sqlite else "SHOW lock_timeout")
        return str(cursor.fetchone()[0]).removesuffix("ms")


def test_it_waits_for_no_lock_until_readings_are_stale(worker: HostWorker) -> None:
    worker.tick()
    assert lock_wait() == str(LOCK_WAIT_MS)


def test_it_stays_impatient_after_a_reconnect(worker: HostWorker) -> None:
    worker.tick()
    connection.close()
    assert lock_wait() != str(LOCK_WAIT_MS)
    worker.tick()
    assert lock_wait() == str(LOCK_WAIT_MS)

"""Jobs side by side: threads that come and go, and keep their connection in between."""

from collections.abc import Iterator
from threading import Event

import pytest
from django.db import connection, connections

from risk.orders.pool import LanePool

WAIT_SECONDS = 5.0


class Jobs:
    """A pool of one thread, whose connection tells when it is closed."""

    def __init__(self) -> None:
        self.closed_count = 0
        self.done_count = 0
        self.pool = LanePool("test", self.begin, most_threads=1)

    def begin(self) -> None:
        close = connection.close

        def note() -> None:
            self.closed_count += 1
            close()

        # A database in memory stays open, whatever is closed: only the call can be seen.
        connections["default"].close = note  # type: ignore[method-assign]

    def run(self) -> None:
        done = Event()

        def job() -> None:
            connection.ensure_connection()
            self.done_count += 1
            done.set()

        assert self.pool.submit(job)
        assert done.wait(WAIT_SECONDS)

    def fail(self) -> None:
        def job() -> None:
            raise LookupError("nothing there")

        assert self.pool.submit(job)


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs()
    yield jobs
    jobs.pool.close()


@pytest.mark.django_db(transaction=True)
def test_it_keeps_the_connection_of_a_thread_from_job_to_job(jobs: Jobs) -> None:
    for _ in range(3):
        jobs.run()
    assert (jobs.done_count, jobs.closed_count) == (3, 0)
    jobs.pool.close()
    assert jobs.closed_count == 1


@pytest.mark.django_db(transaction=True)
def test_it_connects_anew_after_a_job_that_failed(jobs: Jobs) -> None:
    jobs.run()
    jobs.fail()
    jobs.run()
    assert (jobs.done_count, jobs.closed_count) == (2, 1)

"""The line to the terminals of a host, asked from a thread of its own so that no tick waits for it.

A broker that does not answer costs the first poll `wait_seconds`, the polls after it nothing: they
look whether the answer has come meanwhile.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from accounts.sessions.merging import empty_batch
from accounts.sessions.transitions import Moment
from accounts.terminals.link import LinkError, LinkTimeout
from accounts.terminals.readings import Outcome, ReadingBatch
from accounts.terminals.simulated.service.client import BrokerError

Integers = npt.NDArray[np.int64]
RowNumbers = npt.NDArray[np.intp]
logger = logging.getLogger(__name__)
_Call = ParamSpec("_Call")
_Result = TypeVar("_Result")


class BatchSource(Protocol):
    def read_batch(self, logins: Integers, deal_cursors: Integers) -> ReadingBatch: ...


class InlineExecutor(Executor):
    """Runs each job at once, in the caller's thread."""

    def submit(
        self, fn: Callable[_Call, _Result], /, *args: _Call.args, **kwargs: _Call.kwargs
    ) -> Future[_Result]:
        future: Future[_Result] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # a future carries whatever its job raises
            future.set_exception(error)
        return future


@dataclass(frozen=True, slots=True)
class Request:
    """A batch read under way: which rows of the pool it asks for, and when it was asked."""

    moment: Moment
    roster_version: int
    rows: RowNumbers
    logins: Integers
    cursors: Integers
    answer: Future[ReadingBatch]


class Line:
    """At most one batch read at a time."""

    def __init__(self, source: BatchSource, executor: Executor, wait_seconds: float) -> None:
        self._source = source
        self._executor = executor
        self._wait_seconds = wait_seconds
        self._pending: Request | None = None

    def ask(
        self,
        moment: Moment,
        roster_version: int,
        rows: RowNumbers,
        logins: Integers,
        cursors: Integers,
    ) -> tuple[Request, ReadingBatch] | None:
        """Return an answer, maybe to an earlier request; None while there is none."""
        request, wait = self._pending, 0.0
        if request is None:
            if not len(rows):
                return None
            answer = self._executor.submit(read, self._source, logins, cursors)
            request = Request(moment, roster_version, rows, logins, cursors, answer)
            wait = self._wait_seconds
        try:
            batch = request.answer.result(timeout=wait)
        except FutureTimeout:
            self._pending = request
            return None
        self._pending = None
        return request, batch

    def ask_again(self, request: Request, places: RowNumbers) -> ReadingBatch | None:
        """Read some places of an answered request once more; None when that takes too long."""
        answer = self._executor.submit(
            read, self._source, request.logins[places], request.cursors[places]
        )
        try:
            return answer.result(timeout=self._wait_seconds)
        except FutureTimeout:
            answer.cancel()
            return None


def read(source: BatchSource, logins: Integers, cursors: Integers) -> ReadingBatch:
    """Read one batch; a broker out of reach answers for none of its accounts."""
    try:
        batch = source.read_batch(logins, cursors)
    except (LinkTimeout, TimeoutError):
        return _unanswered(len(logins), Outcome.SILENT)
    except BrokerError as error:
        logger.error("A batch read failed at the broker: %s", error.text)
        return _unanswered(len(logins), Outcome.NONE)
    except (LinkError, OSError):
        return _unanswered(len(logins), Outcome.NO_TERMINAL)
    except Exception:
        # One bad batch must not end the tick, and with it the watch over every account.
        logger.exception("A batch read failed.")
        return _unanswered(len(logins), Outcome.NONE)
    if len(batch.accounts) != len(logins):
        logger.error("Asked for %d accounts, %d answered.", len(logins), len(batch.accounts))
        return _unanswered(len(logins), Outcome.NONE)
    return batch


def _unanswered(count: int, outcome: Outcome) -> ReadingBatch:
    batch = empty_batch(count)
    batch.accounts["outcome"] = outcome
    return batch

"""Asking a provider's terminal how orders ended, beside the watch and not within it."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Final

from accounts.sessions.host import SideJob
from accounts.terminals.link import LinkError
from accounts.terminals.registry import Source
from copytrade.watching.facts import OrderEnding, WatchedProvider
from copytrade.watching.reading import instant_of
from risk.orders.terminal import AccountTerminal

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 0.5
# ORDER_STATE_*: cancelled, partly filled, filled, rejected, expired.
_CANCELLED, _PARTIAL, _FILLED, _REJECTED, _EXPIRED = range(2, 7)
_ENDED: Final = frozenset({_CANCELLED, _PARTIAL, _FILLED, _REJECTED, _EXPIRED})


Endings = dict[int, OrderEnding]
"""How orders ended, by their tickets."""


class Lookup:
    """The questions about one provider, at most one job of them at a time."""

    def __init__(self, provider: WatchedProvider, source: Source, job: SideJob) -> None:
        self._provider = provider
        self._source = source
        self._job = job
        self._answer: Future[Endings] | None = None
        self._due_at = 0.0

    def ask(self, gone: Sequence[int], *, now: datetime, monotonic: float) -> None:
        """Ask, unless an answer is due or the last one came a moment ago."""
        if not gone or self._answer is not None or monotonic < self._due_at:
            return
        self._due_at = monotonic + AGAIN_SECONDS
        self._answer = self._job.start(lambda: self._look(gone, now))

    def take(self) -> Endings:
        """Return what was found since the last time."""
        if self._answer is None or not self._answer.done():
            return {}
        answer, self._answer = self._answer, None
        try:
            return answer.result()
        except LinkError as error:
            logger.info("%s cannot be asked: %s", self._provider.name, error.text)
        except (ArithmeticError, LookupError, OSError, TypeError, ValueError):
            logger.exception("%s gave no sense.", self._provider.name)
        return {}

    def _look(self, gone: Sequence[int], now: datetime) -> Endings:
        terminal = AccountTerminal(self._source, self._provider.login, self._provider.server)
        found: Endings = {}
        for ticket in gone:
            terminal.require_connected()
            rows = self._history(ticket)
            terminal.account()
            for row in rows:
                if int(row[0]) == ticket and int(row[9]) in _ENDED:
                    found[ticket] = self._ending(row, now)
        return found

    def _history(self, ticket: int) -> Sequence[Sequence[Any]]:
        login = self._provider.login
        rows = self._source.call("history_orders", login, 0.0, 0.0, None, ticket, None)
        return rows or ()

    def _ending(self, row: Sequence[Any], now: datetime) -> OrderEnding:
        # What is left of a cancelled order may be the rest of one that was filled in part.
        is_filled = int(row[9]) in (_PARTIAL, _FILLED) or float(row[15]) < float(row[14])
        return OrderEnding(
            is_filled=is_filled,
            happened_at=instant_of(int(row[4]), self._provider.broker_zone, now),
            position=int(row[11]) or None,
        )

"""The equity of a minute, gathered tick by tick: the last values, and the extremes between."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt

from accounts.sessions.poll import Poll
from accounts.terminals.readings import Rows

MINUTE_SECONDS = 60
_LAST_VALUES = ("balance", "credit", "equity", "margin", "position_count", "login", "server")
_MINUTE_DTYPE = np.dtype(
    [
        ("balance", "<f8"),
        ("credit", "<f8"),
        ("equity", "<f8"),
        ("equity_low", "<f8"),
        ("equity_high", "<f8"),
        ("margin", "<f8"),
        ("position_count", "<i4"),
        ("login", "<i8"),
        ("server", "<i4"),  # index into Minute.servers
        ("readings", "<i4"),  # 0: the account was not read, and nothing is known
    ]
)


@dataclass(frozen=True, slots=True)
class Minute:
    """What the accounts that were read were worth in the minute (UTC) that began at `at`."""

    at: datetime
    account_ids: tuple[UUID, ...]
    rows: Rows
    servers: tuple[str, ...]


class MinuteCollector:
    """Gathers accepted readings; one that is stale, doubted or missing leaves a gap."""

    def __init__(self) -> None:
        self._account_ids: tuple[UUID, ...] = ()
        self._rows = np.zeros(0, dtype=_MINUTE_DTYPE)
        self._servers: tuple[str, ...] = ()
        self._number: int | None = None

    def note(self, poll: Poll) -> Minute | None:
        """Count a poll, and return the minute before when this one begins another."""
        number = int(poll.now.timestamp() // MINUTE_SECONDS)
        finished = self.take() if number != self._number else None
        self._number = number
        if poll.account_ids is not self._account_ids:
            self._carry_over(poll.account_ids)
        self._servers = poll.batch.servers
        self._count(poll.batch.accounts, np.flatnonzero(poll.accepted_now))
        return finished

    def take(self) -> Minute | None:
        """Return what was gathered of this minute so far, and begin anew."""
        read = np.flatnonzero(self._rows["readings"])
        if self._number is None or not len(read):
            return None
        minute = Minute(
            at=datetime.fromtimestamp(self._number * MINUTE_SECONDS, UTC),
            account_ids=tuple(self._account_ids[row] for row in read.tolist()),
            rows=self._rows[read],
            servers=self._servers,
        )
        self._rows = np.zeros(len(self._rows), dtype=_MINUTE_DTYPE)
        return minute

    def _carry_over(self, account_ids: tuple[UUID, ...]) -> None:
        before = {account_id: row for row, account_id in enumerate(self._account_ids)}
        rows = np.zeros(len(account_ids), dtype=_MINUTE_DTYPE)
        for row, account_id in enumerate(account_ids):
            place = before.get(account_id)
            if place is not None:
                rows[row] = self._rows[place]
        self._account_ids, self._rows = account_ids, rows

    def _count(self, accounts: Rows, read: npt.NDArray[np.intp]) -> None:
        if not len(read):
            return
        rows, equity = self._rows, accounts["equity"][read]
        # Another login's equity is another curve: what was gathered of the one before is dropped.
        is_same = (rows["login"][read] == accounts["login"][read]) & (
            rows["server"][read] == accounts["server"][read]
        )
        readings = np.where(is_same, rows["readings"][read], 0)
        is_known = readings > 0
        low, high = rows["equity_low"][read], rows["equity_high"][read]
        rows["equity_low"][read] = np.where(is_known, np.minimum(low, equity), equity)
        rows["equity_high"][read] = np.where(is_known, np.maximum(high, equity), equity)
        rows["readings"][read] = readings + 1
        for name in _LAST_VALUES:
            rows[name][read] = accounts[name][read]

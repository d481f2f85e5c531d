"""Reading batches written by hand, and a source that answers with them."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import numpy.typing as npt

from accounts.sessions.poll import AttemptResult, Poll, RosterChange
from accounts.sessions.pool import SessionPool
from accounts.sessions.states import Reason
from accounts.sessions.table import SessionSpec
from accounts.terminals.readings import (
    ACCOUNT_DTYPE,
    DEAL_DTYPE,
    ORDER_DTYPE,
    POSITION_DTYPE,
    PRICE_DTYPE,
    Outcome,
    ReadingBatch,
)

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SERVER = "Example-Demo"
FIRST_LOGIN = 1001
TICK_SECONDS = 0.2


def batch_of(logins: Iterable[int], *, positions_each: int = 1) -> ReadingBatch:
    """Return consistent readings: balance 10,000, each position 50 in profit, 2 paid in swap."""
    logins = list(logins)
    accounts = np.zeros(len(logins), dtype=ACCOUNT_DTYPE)
    accounts["login"] = logins
    accounts["outcome"] = Outcome.ANSWERED
    accounts["connected"] = accounts["trade_allowed"] = accounts["algo_trading_allowed"] = True
    accounts["currency_digits"] = 2
    accounts["balance"] = 10_000.0
    accounts["profit"] = 48.0 * positions_each
    accounts["equity"] = accounts["balance"] + accounts["profit"]
    accounts["margin"] = 100.0 * positions_each
    accounts["position_count"] = positions_each
    positions = np.zeros(len(logins) * positions_each, dtype=POSITION_DTYPE)
    positions["account"] = np.repeat(np.arange(len(logins)), positions_each)
    positions["ticket"] = np.repeat(logins, positions_each) * 100
    positions["profit"], positions["swap"] = 50.0, -2.0
    return ReadingBatch(
        taken_at=0.0,
        accounts=accounts,
        positions=positions,
        orders=np.zeros(0, dtype=ORDER_DTYPE),
        deals=np.zeros(0, dtype=DEAL_DTYPE),
        prices=np.zeros(0, dtype=PRICE_DTYPE),
        symbols=("EURUSD",),
        servers=(SERVER, "Other-Live"),
        currencies=("USD",),
    )


def spec(login: int, account_id: UUID | None = None, **fields: object) -> SessionSpec:
    values: dict[str, object] = {
        "account_id": account_id or uuid4(),
        "user_id": 7,
        "account_name": f"Alpha {login}",
        "login": login,
        "server": SERVER,
        "currency": "USD",
        "key_mark": "key",
        "is_wanted": True,
        "state": "connecting",
        "since": START,
        "reason": "requested",
        "message": "",
        "retries": 0,
        "next_attempt_at": None,
    }
    return SessionSpec(**{**values, **fields})  # type: ignore[arg-type]  # built from a dictionary


class HandMadeSource:
    """Answers consistent readings, after `spoil` had its way with them."""

    def __init__(self) -> None:
        self.spoil: Callable[[ReadingBatch], object] = lambda batch: None
        self.reads: list[list[int]] = []
        self.cursors: list[list[int]] = []
        self.deals: list[tuple[int, int]] = []  # login, ticket
        self.positions_each = 1

    def read_batch(
        self, logins: npt.NDArray[np.int64], deal_cursors: npt.NDArray[np.int64]
    ) -> ReadingBatch:
        self.reads.append(logins.tolist())
        self.cursors.append(deal_cursors.tolist())
        batch = batch_of(logins.tolist(), positions_each=self.positions_each)
        rows = [
            (place, ticket)
            for place, login in enumerate(logins.tolist())
            for owner, ticket in self.deals
            if owner == login and ticket > deal_cursors[place]
        ]
        deals = np.zeros(len(rows), dtype=DEAL_DTYPE)
        for index, (place, ticket) in enumerate(rows):
            deals["account"][index], deals["ticket"][index] = place, ticket
        batch = ReadingBatch(
            **{name: getattr(batch, name) for name in ReadingBatch.__slots__ if name != "deals"},
            deals=deals,
        )
        return answer if (answer := self.spoil(batch)) is not None else batch  # type: ignore[return-value]


class Desk:
    """A pool over a source, with a clock that moves a tick at a time and logins that succeed."""

    def __init__(
        self, count: int = 1, source: HandMadeSource | None = None, **pool_options: object
    ) -> None:
        self.source = source or HandMadeSource()
        self.jitter = 0.5
        self.pool = SessionPool(
            "local",
            self.source,
            random=lambda: self.jitter,
            **pool_options,  # type: ignore[arg-type]
        )
        self.seconds = 0.0
        self.attempts: list[float] = []
        self.answer: Callable[[int], Reason] = lambda login: Reason.NONE
        self.specs = [spec(FIRST_LOGIN + number) for number in range(count)]
        self.sync(added=self.specs)

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def sync(
        self,
        *,
        added: Sequence[SessionSpec] = (),
        changed: Sequence[SessionSpec] = (),
        removed: Sequence[UUID] = (),
        cursors: dict[UUID, int] | None = None,
    ) -> None:
        roster = RosterChange(added, changed, removed)
        self.pool.sync(roster, cursors or {}, self.now, self.seconds)

    def tick(self) -> Poll:
        """Log in whoever is due, poll, and let one tick's time pass."""
        due = self.pool.due(self.seconds, 1000)
        self.attempts += [self.seconds] * len(due)
        results = [AttemptResult(attempt, self.answer(attempt.login)) for attempt in due]
        self.pool.apply(results, self.now, self.seconds)
        poll = self.pool.poll(self.now, self.seconds)
        self.seconds = round(self.seconds + TICK_SECONDS, 6)
        return poll

    def run(self, seconds: float) -> list[Poll]:
        return [self.tick() for _ in range(round(seconds / TICK_SECONDS))]

    def connected(self) -> "Desk":
        """Run until everybody is connected."""
        self.run(0.4)
        return self

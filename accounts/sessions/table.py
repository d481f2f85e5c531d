"""The sessions of one host, column by column, so that a tick asks all of them at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from uuid import UUID

import numpy as np
import numpy.typing as npt

from accounts.sessions.states import Reason, SessionState

REASONS = tuple(Reason)
REASON_NUMBER = {reason: number for number, reason in enumerate(REASONS)}
NEVER = np.inf

SESSION_DTYPE = np.dtype(
    [
        ("user_id", "<i8"),
        ("login", "<i8"),
        ("server", "<i4"),  # number in the host's table of server names
        ("currency", "<i4"),  # number in the host's table of currencies
        ("generation", "<i8"),  # moves when the login, server or password becomes another one
        ("is_wanted", "?"),
        ("is_authorised", "?"),
        ("is_in_flight", "?"),  # an attempt to log in is under way
        ("state", "<i1"),
        ("reason", "<i2"),  # index into REASONS
        ("since", "<f8"),  # UTC epoch seconds
        ("verdict", "<i1"),  # of the last reading, -1 before the first
        ("consistent", "<i1"),  # readings in a row that passed, counted to 2
        ("look", "<i8"),  # the last look at the terminal that was counted
        ("refusals", "<i4"),  # refused logins in a row
        ("retries", "<i4"),
        ("attempt_at", "<f8"),  # monotonic seconds of the next attempt, NEVER when none is due
        ("proven_by", "<f8"),  # monotonic seconds by which a new login must have shown readings
        ("good_at", "<f8"),  # monotonic seconds of the last accepted reading, -inf before
        ("read_at", "<f8"),  # UTC epoch seconds of the same, NaN before
        ("cursor", "<i8"),  # newest deal that is stored
        ("delivered", "<i8"),  # newest deal that was handed out
        ("identity_checks", "<i8"),  # answers that said whose they are, since the process began
        ("identity_failures", "<i8"),  # of these, answers for another account
    ]
)


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What the database says of one account's session."""

    account_id: UUID
    user_id: int
    account_name: str
    login: int
    server: str
    currency: str
    key_mark: str  # changes with the stored password, tells nothing about it
    is_wanted: bool
    state: str
    since: datetime | None
    reason: str
    message: str
    retries: int
    next_attempt_at: datetime | None


class SessionTable:
    """The columns in ``rows``, and beside them what numpy cannot hold, in the same order."""

    def __init__(self) -> None:
        self.rows: npt.NDArray[np.void] = np.zeros(0, dtype=SESSION_DTYPE)
        self.account_ids: tuple[UUID, ...] = ()
        self.names: list[str] = []
        self.servers: list[str] = []
        self.key_marks: list[str] = []
        self.messages: list[str] = []
        self.row_of: dict[UUID, int] = {}
        self._generations = count(1)

    def __len__(self) -> int:
        return len(self.account_ids)

    def reshape(self, kept: Sequence[int], added: Sequence[SessionSpec]) -> None:
        """Keep some rows, in this order, and put blank ones for `added` after them."""
        rows = np.zeros(len(kept) + len(added), dtype=SESSION_DTYPE)
        rows[: len(kept)] = self.rows[list(kept)]
        self.rows = rows
        self.names = [self.names[row] for row in kept] + [""] * len(added)
        self.servers = [self.servers[row] for row in kept] + [""] * len(added)
        self.key_marks = [self.key_marks[row] for row in kept] + [""] * len(added)
        self.messages = [self.messages[row] for row in kept] + [""] * len(added)
        self.account_ids = (
            *(self.account_ids[row] for row in kept),
            *(spec.account_id for spec in added),
        )
        self.row_of = {account_id: row for row, account_id in enumerate(self.account_ids)}
        for row in range(len(kept), len(rows)):
            self.forget(row)

    def forget(self, row: int) -> None:
        """Take back everything that was learned about a row's login."""
        self.renew(row)
        session = self.rows[row]
        session["is_authorised"] = False
        session["verdict"], session["consistent"], session["look"] = -1, 0, 0
        session["refusals"] = session["retries"] = 0
        session["attempt_at"] = session["proven_by"] = NEVER
        session["good_at"], session["read_at"] = -np.inf, np.nan
        session["cursor"] = session["delivered"] = 0

    def renew(self, row: int) -> None:
        """Make the result of a login that is under way come too late."""
        self.rows["generation"][row] = next(self._generations)
        self.rows["is_in_flight"][row] = False

    def state(self, row: int) -> SessionState:
        return SessionState(int(self.rows["state"][row]))

    def reason(self, row: int) -> Reason:
        return REASONS[int(self.rows["reason"][row])]

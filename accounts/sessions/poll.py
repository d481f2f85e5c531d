"""The values that go into and come out of a pool of sessions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt

from accounts.sessions.states import ConnectionChange, FailedRetry, Reason
from accounts.sessions.table import SessionSpec
from accounts.terminals.readings import ReadingBatch, Rows


@dataclass(frozen=True, slots=True)
class Poll:
    """What one tick knows of every account of the host; row i belongs to ``account_ids[i]``.

    ``batch`` holds the last accepted reading of each account, however old; ``read_at`` (UTC epoch
    seconds, NaN = never) and ``age_seconds`` (monotonic, inf = never) tell when it was asked for.
    ``batch.deals`` holds deals newer than the committed cursor, of accounts accepted now.
    ``is_read`` is False when no answer came. ``identity_*`` count, since the process began, the
    answers that said whose they are and those for another account. ``running_seconds`` is how long
    these sessions have been polled. The arrays are not to be written to.
    """

    now: datetime
    monotonic: float
    running_seconds: float
    roster_version: int
    account_ids: tuple[UUID, ...]
    batch: ReadingBatch
    accepted_now: npt.NDArray[np.bool_]
    read_at: npt.NDArray[np.float64]
    age_seconds: npt.NDArray[np.float64]
    states: npt.NDArray[np.int8]
    changes: tuple[ConnectionChange, ...]
    failed_retries: tuple[FailedRetry, ...]
    is_read: bool
    identity_checks: npt.NDArray[np.int64]
    identity_failures: npt.NDArray[np.int64]

    @property
    def deals(self) -> Rows:
        return self.batch.deals


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that is due."""

    account_id: UUID
    generation: int
    login: int
    server: str


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How a login ended; `reason` is Reason.NONE when it was accepted."""

    attempt: Attempt
    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True)
class RosterChange:
    """How the accounts of a host differ from those known before."""

    added: Sequence[SessionSpec] = ()
    changed: Sequence[SessionSpec] = ()
    removed: Iterable[UUID] = ()

"""Which answers of a batch may be believed, by the same doubts as the sessions of the host have."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accounts.sessions.checks import BREAKS_SESSION, Verdict, check
from accounts.sessions.pool import CONSISTENT_READINGS
from accounts.terminals.readings import STALE_AFTER_SECONDS, ReadingBatch
from copytrade.watching.facts import WatchedProvider


class Proof:
    """Counts one provider's consistent readings: the first after a break proves nothing."""

    def __init__(self) -> None:
        self._consistent = 0
        self._look = 0
        self.is_new = True  # whether the last one was not shown before

    def take(self, verdict: int, look: int) -> bool:
        """Count a reading and tell whether it may be used; a look that is shown twice is one."""
        self.is_new = look == 0 or look != self._look
        self._look = look
        if verdict == Verdict.ACCEPTED:
            self._consistent = min(self._consistent + int(self.is_new), CONSISTENT_READINGS)
            return self._consistent >= CONSISTENT_READINGS
        if BREAKS_SESSION[verdict] or self._consistent < CONSISTENT_READINGS:
            self._consistent = 0
        return False

    def forget(self) -> None:
        """Take the next reading as the first one."""
        self._consistent = 0


def verdicts_of(batch: ReadingBatch, providers: Sequence[WatchedProvider]) -> npt.NDArray[np.int8]:
    """Return a `Verdict` for each provider; a reading as old as a stale one counts as silence."""
    verdicts = check(
        batch,
        np.array([each.login for each in providers], dtype=np.int64),
        _numbers(batch.servers, [each.server for each in providers]),
        _numbers(batch.currencies, [each.currency for each in providers]),
    )
    is_old = ~(batch.accounts["age_seconds"] < STALE_AFTER_SECONDS)
    verdicts[is_old & (verdicts == Verdict.ACCEPTED)] = Verdict.SILENT
    return verdicts


def _numbers(names: Sequence[str], wanted: Sequence[str]) -> npt.NDArray[np.int64]:
    known = {name: number for number, name in enumerate(names)}
    return np.array([known.get(name, -1) for name in wanted], dtype=np.int64)

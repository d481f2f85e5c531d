"""By which road a letter goes, and what this process knows of the servers at their ends."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from notifications.delivering.breaker import Breaker, Passage
from notifications.delivering.pace import Pace

# Whoever waits for another's trial looks again after this long.
SHORTEST_WAIT: Final = timedelta(seconds=10)

breaker = Breaker()
pace = Pace()


@dataclass(frozen=True, slots=True)
class Road:
    """The road of one channel: to a server that all share, or to one that its user named.

    Of the latter each user has a record beside everybody's. Only silence closes a road, and for
    everybody only that of several users: what one of them named may be away behind a host that
    serves all others.
    """

    transport: str
    server: str
    user_id: int
    channel_id: UUID

    @property
    def is_shared(self) -> bool:
        return not self.server

    def rests_until(self, *, now: datetime) -> datetime | None:
        """Tell until when this channel's server asked to be left alone; None when it may be."""
        until = breaker.closed_until(self.channel_id)
        return until if until is not None and now < until else None

    def closed_until(self, *, is_test: bool, now: datetime) -> datetime | None:
        """Tell until when nothing may go, None when this letter may; then report what became of it.

        Whoever waits for a test is told what their own server says now, whatever others met.
        """
        if self.is_shared:
            return None  # the sender itself has asked
        for key in (self._own,) if is_test else (self._own, self._host):
            if breaker.passage(key, now=now) is Passage.CLOSED:
                if key == self._host:
                    breaker.forget_trial(self._own)
                return max(breaker.closed_until(key) or now, now + SHORTEST_WAIT)
        return None

    def note_answer(self) -> None:
        breaker.note_answer(self._host)
        breaker.note_answer(self._own)
        breaker.note_answer(self.channel_id)

    def note_silence(self, *, now: datetime) -> None:
        breaker.note_failure(self._host, now=now, by=None if self.is_shared else self.user_id)
        if not self.is_shared:
            breaker.note_failure(self._own, now=now)

    def forget_trial(self) -> None:
        breaker.forget_trial(self._host)
        breaker.forget_trial(self._own)

    def note_pace(self, *, began_at: datetime, now: datetime) -> None:
        """Note how long a letter took; a server that all share is no one user's fault."""
        if not self.is_shared:
            pace.note(self.transport, self.user_id, took=now - began_at, now=now)

    def rest(self, *, until: datetime) -> None:
        """Send nothing to this channel until then, as its server asked."""
        breaker.close(self.channel_id, until=until)

    @property
    def _host(self) -> tuple[str, str]:
        return (self.transport, self.server)

    @property
    def _own(self) -> tuple[str, str, int]:
        return (self.transport, self.server, self.user_id)

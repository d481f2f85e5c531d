"""The place of one account on a terminal host: its process, its login, and its misfortunes."""

import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from accounts.terminals.processes.batches import Decoded
from accounts.terminals.processes.child import Child

BASE_SECONDS: Final = 1.0
CAP_SECONDS: Final = 60.0
# A process that lived so long has nothing to do with the failures before it.
HEALTHY_SECONDS: Final = 60.0
# A seat whose account nobody reads is given up.
UNREAD_SECONDS: Final = 5.0
UNREAD_WITHOUT_BATCHES_SECONDS: Final = 30.0
# Whoever waits for a login asks after it within so long.
ASKED_AGAIN_SECONDS: Final = 2.0
_MARK_KEY: Final = secrets.token_bytes(32)


class LoginAnswer(int):
    """A ``last_error()`` code, 1 for success, that may come with a sentence for the trader."""

    sentence: str = ""

    @classmethod
    def of(cls, code: int, sentence: str = "") -> "LoginAnswer":
        answer = cls(code)
        answer.sentence = sentence
        return answer


def mark_of(password: str) -> bytes:
    """Return what tells two passwords of this process apart, and nothing else about them."""
    return hashlib.blake2b(password.encode(), key=_MARK_KEY, digest_size=16).digest()


@dataclass(slots=True)
class Login:
    """A login that was begun; the password itself is not kept.

    One that waits for its process is given up at ``wanted_until``, in monotonic seconds.
    """

    mark: bytes
    wanted_until: float
    answer: "Future[LoginAnswer]" = field(default_factory=Future)

    def finish(self, answer: LoginAnswer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


@dataclass(slots=True)
class Seat:
    """All times are monotonic seconds; the source's lock guards everything here."""

    login: int
    server: str
    folder: Path
    child: Child | None = None
    is_logged_in: bool = False
    entry: Login | None = None
    failures: int = 0
    not_before: float = 0.0
    cursor: int | None = None
    cursors: dict[int, float] = field(default_factory=dict)  # when each was asked for last
    read: float = 0.0
    decoded: Decoded | None = None

    def is_in_use(self, now: float) -> bool:
        """Tell whether an account of this seat is watched or about to be."""
        is_logging_in = self.entry is not None and not self.entry.answer.done()
        return is_logging_in or (self.is_logged_in and now - self.read < UNREAD_SECONDS)

    def is_unread(self, now: float, last_batch: float) -> bool:
        if self.entry is not None and not self.entry.answer.done():
            return False
        return (
            last_batch - self.read > UNREAD_SECONDS
            or now - self.read > UNREAD_WITHOUT_BATCHES_SECONDS
        )

    def is_forgiven(self, now: float) -> bool:
        """Tell whether its failures are so long ago that nobody need remember them."""
        return now >= self.not_before + CAP_SECONDS

    def fell(self, lived_seconds: float, now: float, random: Callable[[], float]) -> None:
        """Count a process that ended by itself or had to be killed; plan the next start."""
        self.failures = 1 if lived_seconds >= HEALTHY_SECONDS else self.failures + 1
        ceiling = min(CAP_SECONDS, BASE_SECONDS * 2.0 ** min(self.failures - 1, 16))
        self.not_before = now + ceiling / 2 + random() * ceiling / 2


@dataclass(slots=True)
class Start:
    """An order to start a process and log it in, for as long as somebody wants that."""

    seat: Seat
    entry: Login
    arguments: tuple[Any, ...] = field(repr=False)

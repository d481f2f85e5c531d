"""What happens to somebody's sign-in, secrets and channels, handed to whoever tells the person.

`accounts` tells nobody anything. An app above registers, when it is loaded, a teller, which is
called with each event in the transaction in which it happens.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from accounts.origin import SYSTEM, Origin


class SecurityKind(StrEnum):
    SIGNED_IN = "signed_in"
    PROGRAM_SIGNED_IN = "program_signed_in"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # a kind, not a secret
    PASSWORD_RESET = "password_reset"  # noqa: S105  # a kind, not a secret
    EMAIL_CHANGED = "email_changed"
    TWO_FACTOR_ON = "two_factor_on"
    TWO_FACTOR_OFF = "two_factor_off"
    TWO_FACTOR_TAKEN_AWAY = "two_factor_taken_away"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    PASSWORD_GUESSED_AT = "password_guessed_at"  # noqa: S105  # a kind, not a secret
    CODE_GUESSED_AT = "code_guessed_at"
    SESSIONS_ENDED = "sessions_ended"
    TOKEN_REUSED = "token_reused"  # noqa: S105  # a kind, not a secret
    KEY_ADDED = "key_added"
    KEY_VIEWED = "key_viewed"
    KEY_CHANGED = "key_changed"
    KEY_ROTATED = "key_rotated"
    KEY_EXPIRED = "key_expired"
    KEY_REVOKED = "key_revoked"
    CHANNEL_ADDED = "channel_added"
    CHANNEL_CHANGED = "channel_changed"
    CHANNEL_DELETED = "channel_deleted"


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """Something that happened to what protects a user; `origin` is who did it, from where.

    `what` says more in a few words: the browser, the key's name, how many were ended. `told_by`
    names a transport by which the user is told of it already.
    """

    kind: SecurityKind
    user_id: int
    at: datetime
    origin: Origin = SYSTEM
    what: str = ""
    object_id: str = ""
    told_by: str = ""


class Teller(Protocol):
    def __call__(self, event: SecurityEvent) -> None:
        """Tell the user of an event."""


_tellers: list[Teller] = []


def register_teller(teller: Teller) -> None:
    if teller not in _tellers:
        _tellers.append(teller)


def announce(event: SecurityEvent) -> None:
    """Hand an event to whoever tells of it."""
    for teller in _tellers:
        teller(event)

"""The states of a session, the reasons that it can have, and a change of it as a value."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID

from accounts.terminals.codes import (
    ALGO_TRADING_DISABLED,
    AUTHORIZATION_FAILED,
    IPC_FAILED,
    IPC_TIMEOUT,
    LOGIN_UNDER_WAY,
)

NOT_FOUND = -4


class SessionState(IntEnum):
    DISCONNECTED = 0
    CONNECTING = 1
    CONNECTED = 2
    ERROR = 3

    @property
    def label(self) -> str:
        """The value that the database holds."""
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> "SessionState":
        return cls[label.upper()]


class Reason(StrEnum):
    """Why a session is in its state; stable codes, each with a sentence for the trader."""

    NONE = ""
    REQUESTED = "requested"
    RESTORED = "restored"
    NO_READING = "no_reading"
    UNKNOWN_ANSWER = "unknown_answer"
    NO_ANSWER = "no_answer"
    TERMINAL_NOT_FOUND = "terminal_not_found"
    NOT_AUTHORISED = "not_authorised"
    BROKER_CONNECTION_LOST = "broker_connection_lost"
    WRONG_ACCOUNT = "wrong_account"
    OTHER_CURRENCY = "other_currency"
    TORN_READING = "torn_reading"
    EMPTY_ANSWER = "empty_answer"
    POSITIONS_MISMATCH = "positions_mismatch"
    PRICES_BEHIND = "prices_behind"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105  # a code, not a secret
    UNKNOWN_SERVER = "unknown_server"
    ALGO_TRADING_OFF = "algo_trading_off"
    CREDENTIALS_MISSING = "credentials_missing"
    CREDENTIALS_UNREADABLE = "credentials_unreadable"
    CONNECT_FAILED = "connect_failed"
    UNDER_WAY = "under_way"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]

    @property
    def needs_a_person(self) -> bool:
        """Whether trying again changes nothing until somebody corrects the login."""
        return self in _NEEDS_A_PERSON


_SENTENCES = {
    Reason.NONE: "",
    Reason.REQUESTED: "Asked for by a person.",
    Reason.RESTORED: "TradeGuard was restarted and is opening the session again.",
    Reason.NO_READING: "The terminal is connected but has not given a complete reading yet.",
    Reason.UNKNOWN_ANSWER: "The terminal answers, but does not give its positions or balance.",
    Reason.NO_ANSWER: "The terminal does not answer.",
    Reason.TERMINAL_NOT_FOUND: "No running terminal was found for this account.",
    Reason.NOT_AUTHORISED: "The terminal is not logged in to this account.",
    Reason.BROKER_CONNECTION_LOST: "The terminal has lost its connection to the broker.",
    Reason.WRONG_ACCOUNT: "The terminal answers for another account; its readings are not used.",
    Reason.OTHER_CURRENCY: (
        "The broker keeps this account in another currency than the one entered here: correct the"
        " currency and the initial balance."
    ),
    Reason.TORN_READING: "Balance, equity and positions do not fit together.",
    Reason.EMPTY_ANSWER: "The terminal shows no positions although margin is in use.",
    Reason.POSITIONS_MISMATCH: "The terminal's list of positions or orders is not complete.",
    Reason.PRICES_BEHIND: (
        "The terminal's prices stand still while those of its server move on: what it shows is old."
    ),
    Reason.WRONG_PASSWORD: (
        "The broker refused the login: check account number, password and server."
    ),
    Reason.UNKNOWN_SERVER: "The broker's server is not known: check its name.",
    Reason.ALGO_TRADING_OFF: "Algorithmic trading is switched off in the terminal.",
    Reason.CREDENTIALS_MISSING: "No active broker password is stored for this account.",
    Reason.CREDENTIALS_UNREADABLE: "The stored password cannot be opened; enter it again.",
    Reason.CONNECT_FAILED: "The terminal could not log in.",
    Reason.UNDER_WAY: "The terminal is still logging in.",
}
_NEEDS_A_PERSON = frozenset(
    {
        Reason.WRONG_PASSWORD,
        Reason.UNKNOWN_SERVER,
        Reason.CREDENTIALS_MISSING,
        Reason.CREDENTIALS_UNREADABLE,
    }
)


def reason_of_code(code: int) -> Reason:
    """Return the reason that a ``last_error()`` code of a failed login stands for."""
    if code == LOGIN_UNDER_WAY:
        return Reason.UNDER_WAY
    if code == AUTHORIZATION_FAILED:
        return Reason.WRONG_PASSWORD
    if code == NOT_FOUND:
        return Reason.UNKNOWN_SERVER
    if code == ALGO_TRADING_DISABLED:
        return Reason.ALGO_TRADING_OFF
    if code == IPC_TIMEOUT:
        return Reason.NO_ANSWER
    if IPC_TIMEOUT < code <= IPC_FAILED:
        return Reason.TERMINAL_NOT_FOUND
    return Reason.CONNECT_FAILED


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """A session's step from one state to another, or to another reason for its error.

    The states are values of ``ConnectionState``. ``message`` is the sentence that the trader reads.
    """

    account_id: UUID
    user_id: int
    account_name: str
    from_state: str
    to_state: str
    reason: str
    message: str
    at: datetime
    retries: int
    next_attempt_at: datetime | None

    @property
    def is_lost(self) -> bool:
        return self.to_state == SessionState.ERROR.label

    @property
    def is_restored(self) -> bool:
        return (self.from_state, self.to_state) == (
            SessionState.ERROR.label,
            SessionState.CONNECTED.label,
        )


@dataclass(frozen=True, slots=True)
class FailedRetry:
    """A retry that failed as the one before it did: nothing changed but the counters."""

    account_id: UUID
    at: datetime
    retries: int
    next_attempt_at: datetime | None

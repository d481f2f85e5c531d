"""The state machine of the sessions: what an answer or its absence makes of a session.

disconnected → connecting → connected ⇄ error. A session in error goes on trying; it stays in error,
without a word, until two consistent readings prove that it is connected.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from accounts.sessions.backoff import wait_for_person_seconds, wait_seconds
from accounts.sessions.checks import Verdict
from accounts.sessions.states import ConnectionChange, FailedRetry, Reason, SessionState
from accounts.sessions.table import NEVER, REASON_NUMBER, SessionSpec, SessionTable

# A login whose terminal shows no complete reading by then has failed.
PROOF_SECONDS = 5.0
_REASON_VALUES = frozenset(reason.value for reason in Reason)


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both clocks: aware wall time, and monotonic seconds."""

    now: datetime
    monotonic: float


class Transitions:
    """Moves rows of a table from state to state and remembers what is to be told of it."""

    def __init__(self, table: SessionTable, random: Callable[[], float]) -> None:
        self._table = table
        self._random = random
        self._changes: list[ConnectionChange] = []
        self._failed_retries: list[FailedRetry] = []

    def take(self) -> tuple[tuple[ConnectionChange, ...], tuple[FailedRetry, ...]]:
        """Return the changes and silent retries since the last call, in order."""
        taken = tuple(self._changes), tuple(self._failed_retries)
        self._changes, self._failed_retries = [], []
        return taken

    def enter(
        self, row: int, state: SessionState, reason: Reason, moment: Moment, message: str = ""
    ) -> None:
        """Put a row into a state and tell of it."""
        table, session = self._table, self._table.rows[row]
        before = table.state(row)
        # A clock that was set back must not order a later change before an earlier one.
        at = max(moment.now, datetime.fromtimestamp(float(session["since"]), UTC))
        session["state"], session["reason"] = state, REASON_NUMBER[reason]
        session["since"] = at.timestamp()
        table.messages[row] = message or reason.sentence
        self._changes.append(
            ConnectionChange(
                account_id=table.account_ids[row],
                user_id=int(session["user_id"]),
                account_name=table.names[row],
                from_state=before.label,
                to_state=state.label,
                reason=reason.value,
                message=table.messages[row],
                at=at,
                retries=int(session["retries"]),
                next_attempt_at=self._attempt_time(row, moment),
            )
        )

    def connect(self, row: int, moment: Moment) -> None:
        """Try at once, as if for the first time."""
        session = self._table.rows[row]
        session["retries"] = session["refusals"] = 0
        session["attempt_at"] = moment.monotonic
        session["proven_by"] = NEVER

    def end(self, row: int) -> None:
        session = self._table.rows[row]
        session["is_authorised"] = False
        session["consistent"] = 0
        session["attempt_at"] = session["proven_by"] = NEVER

    def log_in_done(self, row: int, moment: Moment) -> None:
        """A login was accepted: readings must now prove it."""
        session = self._table.rows[row]
        session["is_authorised"] = True
        session["refusals"] = 0
        session["consistent"] = 0
        session["verdict"] = -1
        self.await_proof(row, moment)

    def await_proof(self, row: int, moment: Moment) -> None:
        session = self._table.rows[row]
        session["attempt_at"] = NEVER
        session["proven_by"] = moment.monotonic + PROOF_SECONDS

    def log_in_failed(self, row: int, reason: Reason, moment: Moment, message: str = "") -> None:
        session = self._table.rows[row]
        is_connected = session["state"] == SessionState.CONNECTED
        if is_connected and session["is_authorised"] and not reason.needs_a_person:
            session["attempt_at"] = NEVER  # its readings came back while this login was under way
            return
        if reason.needs_a_person:
            session["is_authorised"] = False
        elif session["is_authorised"] and self.doubt(row):
            # What its readings lack is nearer to the cause than that another login failed too.
            reason, message = self.doubt(row), ""
        if reason is Reason.WRONG_PASSWORD:
            session["refusals"] += 1
            if session["refusals"] == 1:
                # Terminals refuse a good login now and then while they start: once more, silently.
                session["attempt_at"] = moment.monotonic + wait_seconds(0, self._random)
                return
        if is_connected and not reason.needs_a_person:
            # It is lost when its last reading is too old; until then another login may succeed.
            session["attempt_at"] = moment.monotonic + self._wait(row, reason)
            return
        self.fail(row, reason, moment, message)

    def authorisation_lost(self, row: int, moment: Moment) -> None:
        session = self._table.rows[row]
        session["is_authorised"] = False
        if session["attempt_at"] == NEVER and not session["is_in_flight"]:
            session["attempt_at"] = moment.monotonic + wait_seconds(0, self._random)

    def proven(self, row: int, moment: Moment) -> None:
        session = self._table.rows[row]
        session["retries"] = session["refusals"] = 0
        session["attempt_at"] = session["proven_by"] = NEVER
        self.enter(row, SessionState.CONNECTED, Reason.NONE, moment)

    def fail(self, row: int, reason: Reason, moment: Moment, message: str = "") -> None:
        """Put a row into error and plan the next attempt; the same error again is no news."""
        table, session = self._table, self._table.rows[row]
        message = message or reason.sentence
        is_news = (
            session["state"] != SessionState.ERROR
            or table.reason(row) is not reason
            or table.messages[row] != message
        )
        if session["state"] != SessionState.CONNECTED:
            session["retries"] += 1
        session["attempt_at"] = moment.monotonic + self._wait(row, reason)
        session["proven_by"] = NEVER
        if is_news:
            self.enter(row, SessionState.ERROR, reason, moment, message)
            return
        self._failed_retries.append(
            FailedRetry(
                account_id=table.account_ids[row],
                at=moment.now,
                retries=int(session["retries"]),
                next_attempt_at=self._attempt_time(row, moment),
            )
        )

    def adopt(self, row: int, spec: SessionSpec, moment: Moment) -> None:
        """Take a state over from the database, where it has been told already."""
        session = self._table.rows[row]
        state = SessionState.from_label(spec.state)
        reason = _known_reason(spec.reason)
        session["state"], session["reason"] = state, REASON_NUMBER[reason]
        session["since"] = (spec.since or moment.now).timestamp()
        session["retries"] = spec.retries
        self._table.messages[row] = spec.message or reason.sentence

    def restore(self, row: int, spec: SessionSpec, moment: Moment) -> None:
        """Bring a session that is new to this process to where its account wants to be."""
        self.adopt(row, spec, moment)
        session = self._table.rows[row]
        session["is_wanted"] = spec.is_wanted
        state = self._table.state(row)
        if not spec.is_wanted:
            if state != SessionState.DISCONNECTED:
                self.enter(row, SessionState.DISCONNECTED, Reason.REQUESTED, moment)
            return
        if state != SessionState.ERROR:
            self.connect(row, moment)
            if state != SessionState.CONNECTING:
                self.enter(row, SessionState.CONNECTING, Reason.RESTORED, moment)
            return
        wait = wait_seconds(0, self._random)
        if self._table.reason(row).needs_a_person and spec.next_attempt_at is not None:
            # A restart is no reason to hammer a login that the broker refuses.
            wait = max(wait, (spec.next_attempt_at - moment.now).total_seconds())
            session["refusals"] = spec.retries
        session["attempt_at"] = moment.monotonic + wait

    def doubt(self, row: int) -> Reason:
        """Return what the last reading lacked; Reason.NONE when it lacked nothing or is to come."""
        verdict = int(self._table.rows["verdict"][row])
        return Verdict(verdict).reason if verdict >= 0 else Reason.NONE

    def _wait(self, row: int, reason: Reason) -> float:
        retries = max(0, int(self._table.rows["retries"][row]) - 1)
        wait = wait_for_person_seconds if reason.needs_a_person else wait_seconds
        return wait(retries, self._random)

    def _attempt_time(self, row: int, moment: Moment) -> datetime | None:
        attempt_at = float(self._table.rows["attempt_at"][row])
        if attempt_at == NEVER:
            return None
        epoch = moment.now.timestamp() + max(0.0, attempt_at - moment.monotonic)
        return datetime.fromtimestamp(epoch, UTC)


def _known_reason(value: str) -> Reason:
    return Reason(value) if value in _REASON_VALUES else Reason.NONE

"""All sessions of one terminal host: one poll per tick brings the latest proven readings."""

import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime
from random import SystemRandom
from uuid import UUID

import numpy as np
import numpy.typing as npt

from accounts.sessions.checks import (
    BREAKS_SESSION,
    ENDS_AUTHORISATION,
    SHOWS_IDENTITY,
    Verdict,
    Verdicts,
    check,
)
from accounts.sessions.line import BatchSource, InlineExecutor, Integers, Line, Request
from accounts.sessions.membership import Membership
from accounts.sessions.merging import moved_rows, overlay, splice
from accounts.sessions.poll import Attempt, AttemptResult, Poll, RosterChange
from accounts.sessions.states import Reason, SessionState
from accounts.sessions.table import SessionTable
from accounts.sessions.transitions import Moment, Transitions
from accounts.terminals.readings import DEAL_DTYPE, STALE_AFTER_SECONDS, ReadingBatch, Rows

CONSISTENT_READINGS = 2
READ_WAIT_SECONDS = 0.15
# A login that takes its time is asked after so often; that is no further attempt.
UNDER_WAY_SECONDS = 0.5
_NO_DEALS_YET = np.iinfo(np.int64).max

Mask = npt.NDArray[np.bool_]
RowNumbers = npt.NDArray[np.intp]


class SessionPool:
    """Holds the sessions of one host; to be called by one thread at a time.

    ``source`` answers batch reads. Logging in is left to the caller: `due` names the logins to try,
    `apply` takes their results. ``random`` gives the jitter of the back-off.
    """

    def __init__(
        self,
        host: str,
        source: BatchSource,
        *,
        executor: Executor | None = None,
        wait_seconds: float = READ_WAIT_SECONDS,
        random: Callable[[], float] | None = None,
    ) -> None:
        self.host = host
        self.table = SessionTable()
        self._line = Line(source, executor or InlineExecutor(), wait_seconds)
        self._transitions = Transitions(self.table, random or SystemRandom().random)
        self._members = Membership(self.table, self._transitions)
        self._began = math.inf  # the first poll, monotonic

    def sync(
        self, roster: RosterChange, cursors: Mapping[UUID, int], now: datetime, monotonic: float
    ) -> None:
        """Bring the sessions in line with the database; `cursors` name the newest stored deals."""
        self._members.sync(roster, cursors, Moment(now, monotonic))

    def reconnect(self, account_ids: Iterable[UUID], now: datetime, monotonic: float) -> None:
        """Try sessions that are not connected at once: somebody asked for it."""
        moment = Moment(now, monotonic)
        for account_id in account_ids:
            row = self.table.row_of.get(account_id)
            if row is None or not self.table.rows["is_wanted"][row]:
                continue
            if self.table.state(row) != SessionState.CONNECTED:
                self._transitions.connect(row, moment)

    def due(self, monotonic: float, limit: int) -> list[Attempt]:
        """Return logins to try now, the longest waiting first, and count them as under way."""
        table, rows = self.table, self.table.rows
        is_due = rows["is_wanted"] & ~rows["is_in_flight"] & (rows["attempt_at"] <= monotonic)
        found = np.flatnonzero(is_due)
        if len(found) > limit:
            found = found[np.argsort(rows["attempt_at"][found], kind="stable")[:limit]]
        rows["is_in_flight"][found] = True
        return [
            Attempt(
                table.account_ids[row],
                int(rows["generation"][row]),
                int(rows["login"][row]),
                table.servers[row],
            )
            for row in found.tolist()
        ]

    def apply(self, results: Iterable[AttemptResult], now: datetime, monotonic: float) -> None:
        moment = Moment(now, monotonic)
        for result in results:
            row = self.table.row_of.get(result.attempt.account_id)
            if row is None:
                continue
            session = self.table.rows[row]
            if session["generation"] != result.attempt.generation or not session["is_in_flight"]:
                continue  # the login was edited or the session ended meanwhile
            session["is_in_flight"] = False
            if result.reason is Reason.UNDER_WAY:
                session["attempt_at"] = monotonic + UNDER_WAY_SECONDS
            elif result.reason is Reason.NONE:
                self._transitions.log_in_done(row, moment)
            else:
                self._transitions.log_in_failed(row, result.reason, moment, result.message)

    def poll(self, now: datetime, monotonic: float) -> Poll:
        """Read all sessions that are logged in, in one round trip, and judge what they answer."""
        moment = Moment(now, monotonic)
        self._began = min(self._began, monotonic)
        accepted, deals, is_read = self._read(moment)
        self._judge(accepted, moment)
        changes, failed_retries = self._transitions.take()
        rows = self.table.rows
        return Poll(
            now=now,
            monotonic=monotonic,
            running_seconds=monotonic - self._began,
            roster_version=self._members.version,
            account_ids=self.table.account_ids,
            batch=replace(self._members.latest, deals=deals),
            accepted_now=accepted,
            read_at=rows["read_at"].copy(),
            age_seconds=monotonic - rows["good_at"],
            states=rows["state"].copy(),
            changes=changes,
            failed_retries=failed_retries,
            is_read=is_read,
            identity_checks=rows["identity_checks"].copy(),
            identity_failures=rows["identity_failures"].copy(),
        )

    def commit_cursors(self) -> None:
        """Count the deals of the last poll as stored: they are not handed out again."""
        self.table.rows["cursor"] = self.table.rows["delivered"]

    def _read(self, moment: Moment) -> tuple[Mask, Rows, bool]:
        session = self.table.rows
        session["delivered"] = session["cursor"]
        accepted = np.zeros(len(session), dtype=bool)
        no_deals = np.zeros(0, dtype=DEAL_DTYPE)
        rows = np.flatnonzero(session["is_wanted"] & session["is_authorised"])
        answered = self._line.ask(
            moment,
            self._members.version,
            rows,
            session["login"][rows],
            # A history that nobody may use yet need not cross the line.
            np.where(
                session["consistent"][rows] + 1 >= CONSISTENT_READINGS,
                session["cursor"][rows],
                _NO_DEALS_YET,
            ),
        )
        if answered is None or answered[0].roster_version != self._members.version:
            session["verdict"][rows] = Verdict.SILENT
            return accepted, no_deals, False
        request, raw = answered
        if moment.monotonic - request.moment.monotonic >= STALE_AFTER_SECONDS:
            silent = np.full(len(request.rows), Verdict.SILENT, dtype=np.int8)
            self._count(request.rows, silent, raw.accounts["look"])
            return accepted, no_deals, False
        batch, verdicts = self._checked(request, raw)
        # A session may have been ended since it was asked.
        is_used = session["is_wanted"][request.rows] & session["is_authorised"][request.rows]
        proven = self._count(request.rows, verdicts, batch.accounts["look"]) & is_used
        accepted[request.rows[proven]] = True
        batch = replace(batch, taken_at=request.moment.now.timestamp())
        self._members.latest = overlay(self._members.latest, batch, request.rows, proven)
        self._date(request, batch.accounts, proven)
        self._age(request, request.rows[verdicts == Verdict.PRICES_BEHIND])
        return accepted, self._new_deals(batch.deals, request.rows, proven), True

    def _date(self, request: Request, accounts: Rows, proven: Mask) -> None:
        """Note when the terminals were asked: never later than they were."""
        rows, session = request.rows[proven], self.table.rows
        age_seconds = np.maximum(accounts["age_seconds"][proven], 0.0)
        session["good_at"][rows] = request.moment.monotonic - age_seconds
        session["read_at"][rows] = request.moment.now.timestamp() - age_seconds

    def _age(self, request: Request, behind: RowNumbers) -> None:
        """Let go of what a stuck terminal has said since its prices stood still: it was old."""
        session = self.table.rows
        for name, instant in (
            ("good_at", request.moment.monotonic),
            ("read_at", request.moment.now.timestamp()),
        ):
            session[name][behind] = np.minimum(session[name][behind], instant - STALE_AFTER_SECONDS)

    def _checked(self, request: Request, raw: ReadingBatch) -> tuple[ReadingBatch, Verdicts]:
        """Check a batch, and read torn accounts once more: a second look often finds them whole."""
        rows = self.table.rows
        batch = self._members.names.renumber(raw)
        servers = rows["server"][request.rows].astype(np.int64)
        currencies = rows["currency"][request.rows].astype(np.int64)
        verdicts = check(batch, request.logins, servers, currencies)
        torn = np.flatnonzero(verdicts == Verdict.TORN)
        if len(torn):
            raw_again = self._line.ask_again(request, torn)
            if raw_again is not None:
                again = self._members.names.renumber(raw_again)
                verdicts[torn] = check(again, request.logins[torn], servers[torn], currencies[torn])
                batch = splice(batch, again, torn)
        return batch, verdicts

    def _count(self, asked: RowNumbers, verdicts: Verdicts, looks: Integers) -> Mask:
        """Count consistent readings in a row; return which of the rows asked may be used.

        What a terminal said once and a source shows twice is one reading.
        """
        session = self.table.rows
        session["verdict"][asked] = verdicts
        is_new = (looks == 0) | (looks != session["look"][asked])
        session["look"][asked] = looks
        session["identity_checks"][asked] += SHOWS_IDENTITY[verdicts] & is_new
        session["identity_failures"][asked] += (verdicts == Verdict.WRONG_ACCOUNT) & is_new
        consistent = session["consistent"][asked]
        is_good = verdicts == Verdict.ACCEPTED
        counted = np.minimum(consistent + (is_good & is_new), CONSISTENT_READINGS)
        is_broken = BREAKS_SESSION[verdicts] | (~is_good & (consistent < CONSISTENT_READINGS))
        session["consistent"][asked] = np.where(is_broken, 0, counted)
        return np.asarray(is_good & (counted >= CONSISTENT_READINGS))

    def _new_deals(self, deals: Rows, asked: RowNumbers, proven: Mask) -> Rows:
        if not len(deals):
            return deals
        deals = moved_rows(deals, asked, proven)
        session = self.table.rows
        deals = deals[deals["ticket"] > session["cursor"][deals["account"]]]
        deals = deals[np.lexsort((deals["ticket"], deals["account"]))]
        delivered = session["delivered"].copy()
        np.maximum.at(delivered, deals["account"], deals["ticket"])
        session["delivered"] = delivered
        return deals

    def _judge(self, accepted: Mask, moment: Moment) -> None:
        """Move the sessions whose state no longer fits what they answer."""
        session = self.table.rows
        state, verdict = session["state"], session["verdict"]
        is_wrong = (
            session["is_authorised"]
            & (verdict == Verdict.WRONG_ACCOUNT)
            & (state != SessionState.DISCONNECTED)
        )
        ended = session["is_authorised"] & ENDS_AUTHORISATION[verdict] & (verdict >= 0)
        for row in np.flatnonzero(ended).tolist():
            self._transitions.authorisation_lost(row, moment)
        for row in np.flatnonzero(is_wrong).tolist():
            self._transitions.fail(row, Reason.WRONG_ACCOUNT, moment)
        for row in np.flatnonzero(accepted & (state != SessionState.CONNECTED)).tolist():
            self._transitions.proven(row, moment)
        is_lost = (state == SessionState.CONNECTED) & (
            moment.monotonic - session["good_at"] >= STALE_AFTER_SECONDS
        )
        is_unproven = (state != SessionState.CONNECTED) & (session["proven_by"] <= moment.monotonic)
        for row in np.flatnonzero(is_lost | is_unproven).tolist():
            reason = self._transitions.doubt(row) or Reason.NO_READING
            self._transitions.fail(row, reason, moment)

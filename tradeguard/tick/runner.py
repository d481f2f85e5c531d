"""One tick of one terminal host: poll, evaluate, latch, store, groups, publish."""

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID

import numpy as np
from django.db import DatabaseError, InterfaceError, close_old_connections
from redis import RedisError

from accounts.core.clock_check import ClockWatch, WatchedClock
from accounts.history.recorder import HistoryRecorder
from accounts.portfolio_keys import Holder
from accounts.publishing import publish_many
from accounts.sessions.host import HostSessions
from accounts.sessions.lease import Fence
from accounts.sessions.poll import Poll
from accounts.sessions.states import SessionState
from risk.core.arrays import Codes
from risk.core.group_risk import GroupRows, build_group_rows, group_risk
from risk.core.statuses import Status
from risk.desk import AccountFacts
from risk.enforcement.enforcer import Enforcer
from risk.latching import LatchLedger
from risk.ledger.latch_journal import LatchJournal
from risk.notices.deals import DealTeller
from risk.notices.watch import RiskNotices
from risk.objectives import ObjectiveWatch
from risk.orders.desk import HostDesk
from risk.tracker import Assessment, RiskTracker
from tradeguard.tick.announcing import Announcements, Key
from tradeguard.tick.complaints import Complaints
from tradeguard.tick.connection_changes import tell_connection_changes
from tradeguard.tick.driver import TickCounts
from tradeguard.tick.frame import Frame, build_frame, changed_accounts
from tradeguard.tick.hot_state import HotStateWriter, Stored
from tradeguard.tick.metrics import Stopwatch, accounts_watched
from tradeguard.tick.patience import wait_briefly
from tradeguard.tick.publishing import LiveObjects, RulesOfAccounts

# So long after a desk was loaded all is there that lives as long as it does: what terminals told,
# the connections of every thread, the modules that the first messages needed.
SETTLING_SECONDS = 20.0


class HostTick:
    """The tick of one host whose sessions this process owns; call `run` from one thread.

    With a `fence` it also acts: enforcement and orders are carried out beside the tick. Without one
    it only watches.
    """

    def __init__(
        self,
        host: str,
        sessions: HostSessions,
        counts: Callable[[], TickCounts] = TickCounts,
        *,
        fence: Fence | None = None,
    ) -> None:
        self.host = host
        self.seconds: dict[str, float] = {}
        self.states: Codes = np.empty(0, dtype=np.int8)
        self._sessions = sessions
        self._counts = counts
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="history")
        self._tracker = RiskTracker(
            host, sessions.source, self._executor, is_inline=sessions.is_inline
        )
        self._ledger = LatchLedger()
        self._latch_journal = LatchJournal(host)
        self._objectives = ObjectiveWatch()
        self._ledger.restore(self._latch_journal.restore())
        self._notices = RiskNotices(host, is_inline=sessions.is_inline)
        self.desk = None if fence is None else _host_desk(host, sessions, fence, self._notices)
        self._hot_state = HotStateWriter(host)
        self._frame: Frame | None = None
        self._frame_ids: tuple[UUID, ...] = ()
        self._announcements = Announcements()
        self._groups_by_status: dict[str, int] = {}
        self._complaints = Complaints()
        self._rules: RulesOfAccounts
        self._holders: list[Holder | None] = []
        self._group_rows: GroupRows
        self._clocks = ClockWatch()
        self._recorder = HistoryRecorder(host, is_inline=sessions.is_inline, tell=DealTeller())
        self._settles_at = float("inf")

    @property
    def wanted_count(self) -> int:
        """Return how many accounts of the host somebody wants connected."""
        return int((self.states != SessionState.DISCONNECTED).sum())

    def close(self, now: datetime) -> None:
        """Give up watching; violations that could not be written yet are tried a last time."""
        if self.desk is not None:
            self.desk.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._write_latches(now)
        self._recorder.close()
        self._notices.close(now)

    def run(self, now: datetime, monotonic: float) -> Assessment:
        """Run one tick; a database or Redis that is away is survived, and made up for later."""
        watch = Stopwatch()
        with watch.stage("poll"):
            poll = self._sessions.poll(now, monotonic)
            self.states = poll.states
        with watch.stage("evaluate"):
            self._refresh(poll)
            assessment = self._tracker.assess(poll)
            self._sessions.commit_cursors()
            self._recorder.note(poll)
        with watch.stage("latch"):
            self._ledger.note(assessment, poll)
            self._objectives.note(assessment, poll)
            self._write_latches(now)
            if self.desk is not None:
                self.desk.take(poll, assessment)
            self._write_database(now)
            self._tell(assessment, poll)
        with watch.stage("store"):
            frame, announced = self._find_news(poll, assessment)
            stored = self._write_redis(poll, frame, announced)
        with watch.stage("groups"):
            live = LiveObjects(assessment.desk, self._rules, poll, frame)
            messages = self._messages(live, stored) if stored else []
        with watch.stage("publish"):
            publish_many(messages)
        watch.observe(self.host)
        self.seconds = watch.seconds
        accounts_watched.labels(self.host).set(len(poll.account_ids))
        if monotonic >= self._settles_at:
            self._settles_at = float("inf")
            gc.collect()
            gc.freeze()
        return assessment

    def _tell(self, assessment: Assessment, poll: Poll) -> None:
        """Have told what this tick shows; what goes wrong there must not keep it from acting."""
        try:
            self._notices.note(assessment, poll)
            self._notices.flush(poll.now, poll.monotonic)
        except Exception as error:
            self._complaints.say("notices", f"What the tick saw could not be told: {error!r}")

    def _find_news(self, poll: Poll, assessment: Assessment) -> tuple[Frame, list[Key]]:
        """Lay the tick out in rows, and choose what of it is to be told."""
        frame = build_frame(
            poll,
            assessment,
            rule_ids=[view.key for view in self._rules.views],
            clock_offsets=self._clocks.offsets(
                poll.batch.accounts["tick_msc"], poll.accepted_now, poll.now, poll.monotonic
            ),
        )
        changed = changed_accounts(self._frame, self._frame_ids, frame, poll.account_ids)
        self._frame, self._frame_ids = frame, poll.account_ids
        risk = group_risk(self._group_rows, assessment.evaluation, assessment.accounts)
        counts = np.bincount(risk.group_status, minlength=len(Status))
        self._groups_by_status = {status.text: int(counts[status]) for status in Status}
        announced = self._announcements.choose(assessment.desk, risk, changed, poll.monotonic)
        return frame, announced

    def _refresh(self, poll: Poll) -> None:
        try:
            # What is read back replaces what is in memory, so it must contain every violation.
            self._ledger.write(poll.now)
            self._latch_journal.clear()
            if self._tracker.refresh(poll):
                self._lay_out(poll)
        except (DatabaseError, InterfaceError) as error:
            close_old_connections()
            if not self._tracker.is_loaded_for(poll):
                raise
            self._complaints.say("desk", f"Accounts and rules could not be looked at: {error}")

    def _lay_out(self, poll: Poll) -> None:
        desk = self._tracker.desk
        self._clocks.watch(
            [_clock(*known) for known in zip(poll.account_ids, desk.accounts, strict=True)]
        )
        self._rules = RulesOfAccounts(desk)
        self._holders = [_holder(account) for account in desk.accounts]
        self._group_rows = build_group_rows(
            desk.pairs, len(desk.groups), desk.group_of, desk.account_of
        )
        # What lives as long as the desk need not be looked through by every full collection of
        # garbage, each of which would hold up a tick for a tenth of a second.
        gc.freeze()
        self._settles_at = poll.monotonic + SETTLING_SECONDS

    def _write_database(self, now: datetime) -> None:
        """Write connections, baselines and objectives; each is kept when it fails."""
        self._write("connection states", lambda: self._sessions.flush(tell_connection_changes))
        self._write("baselines", lambda: self._tracker.save(now))
        self._write("objectives", lambda: self._objectives.write(now))

    def _write_latches(self, now: datetime) -> None:
        """Write violations before anything acts on them: else to the disk of this host."""
        if self._write("violations", lambda: self._ledger.write(now)):
            self._latch_journal.clear()
            return
        try:
            self._latch_journal.keep(self._ledger.unwritten)
        except OSError as error:
            self._complaints.say("journal", f"The violations could not be journalled: {error}")

    def _write(self, name: str, write: Callable[[], object]) -> bool:
        try:
            write()
        except (DatabaseError, InterfaceError) as error:
            close_old_connections()
            self._complaints.say(name, f"The {name} could not be written yet: {error}")
            return False
        return True

    def _write_redis(self, poll: Poll, frame: Frame, announced: list[Key]) -> Stored | None:
        counts = self._counts()
        facts = {
            "at": poll.now.timestamp(),
            "duration_ms": round(self.seconds.get("total", 0.0) * 1000, 3),
            "accounts": len(poll.account_ids),
            "is_read": int(poll.is_read),
            "run": counts.run,
            "dropped": counts.dropped,
            "late": counts.late,
            "self_driven": counts.self_driven,
            "failed": counts.failed,
            **{f"groups_{name}": count for name, count in self._groups_by_status.items()},
        }
        try:
            stored = self._hot_state.write(poll, frame, self._holders, announced, facts)
        except RedisError as error:
            self._complaints.say("hot state", f"The hot state could not be written: {error}")
            return None
        self._announcements.watched = stored.watched
        return stored

    def _messages(self, live: LiveObjects, stored: Stored) -> list[tuple[str, dict[str, object]]]:
        groups, accounts = [], []
        group_index = live.desk.group_index
        for (kind, object_id), sequence in stored.sequences.items():
            if kind == "group":
                groups.append((group_index[object_id], sequence))
            else:
                accounts.append((object_id, sequence))
        try:
            return [*live.group_messages(groups), *live.account_messages(accounts)]
        except (DatabaseError, InterfaceError, RedisError) as error:
            close_old_connections()
            self._complaints.say("live objects", f"Live objects could not be built: {error}")
            return []


def _host_desk(host: str, sessions: HostSessions, fence: Fence, notices: RiskNotices) -> HostDesk:
    return HostDesk(
        host,
        sessions.source,
        fence,
        enforcer=Enforcer(host),
        is_inline=sessions.is_inline,
        begin=wait_briefly,
        tell=notices.orders_ended,
    )


def _holder(account: AccountFacts | None) -> Holder | None:
    if account is None:
        return None
    return Holder(
        account.id, account.portfolio_role, account.login, account.server, account.currency
    )


def _clock(account_id: UUID, account: AccountFacts | None) -> WatchedClock:
    if account is None:
        return WatchedClock(account_id, "", 0, "UTC")
    return WatchedClock(account_id, account.server, account.login, account.terms.broker_zone)

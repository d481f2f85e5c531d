"""One tick of one terminal host: poll, evaluate, latch, store, groups, publish."""

import gc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
from django.db import DatabaseError, InterfaceError, close_old_connections

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.history.recorder import HistoryRecorder
from accounts.publishing import publish_many
from accounts.sessions.host import HostSessions
from accounts.sessions.lease import Fence
from accounts.sessions.poll import Poll
from accounts.sessions.states import SessionState
from copytrade.notices.news import CopyNews
from risk.core.arrays import Codes
from risk.latching import LatchLedger
from risk.ledger.latch_journal import LatchJournal
from risk.models import Order
from risk.notices.deals import DealTeller
from risk.notices.watch import RiskNotices
from risk.objectives import ObjectiveWatch
from risk.tracker import Assessment, RiskTracker
from tradeguard.tick.acting import Acting
from tradeguard.tick.complaints import Complaints
from tradeguard.tick.connection_changes import tell_connection_changes
from tradeguard.tick.driver import TickCounts
from tradeguard.tick.hot_keys import HotKeysDesk
from tradeguard.tick.metrics import Stopwatch, accounts_watched
from tradeguard.tick.patience import wait_briefly
from tradeguard.tick.showing import Showing

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
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="history")
        self._tracker = RiskTracker(
            host, sessions.source, self._executor, is_inline=sessions.is_inline
        )
        self._ledger = LatchLedger()
        self._latch_journal = LatchJournal(host)
        self._objectives = ObjectiveWatch()
        self._ledger.restore(self._latch_journal.restore())
        self._notices = RiskNotices(host, is_inline=sessions.is_inline)
        self._copy_news = CopyNews(host)
        self.acting = None if fence is None else self._acting(fence)
        self._hot_keys = HotKeysDesk(host, is_inline=sessions.is_inline, begin=wait_briefly)
        self._complaints = Complaints()
        self._showing = Showing(host, counts, self._complaints)
        self._recorder = HistoryRecorder(host, is_inline=sessions.is_inline, tell=DealTeller())
        self._settles_at = float("inf")

    def _acting(self, fence: Fence) -> Acting:
        return Acting(
            self.host,
            self._sessions,
            fence,
            ended=self._orders_ended,
            planned=self._copy_news.planned,
        )

    @property
    def wanted_count(self) -> int:
        """Return how many accounts of the host somebody wants connected."""
        return int((self.states != SessionState.DISCONNECTED).sum())

    def close(self, now: datetime) -> None:
        """Give up watching; violations that could not be written yet are tried a last time."""
        self._hot_keys.close()
        if self.acting is not None:
            self.acting.close()
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._write_latches(now)
        self._recorder.close()
        self._notices.close(now)

    def run(self, now: datetime, monotonic: float) -> Assessment:
        """Run one tick; a database or Redis that is away is survived, and made up for later."""
        watch = Stopwatch()
        watch.give_way()
        with watch.stage("poll"):
            poll = self._sessions.poll(now, monotonic)
            self.states = poll.states
        watch.give_way()
        with watch.stage("evaluate"):
            self._refresh(poll)
            assessment = self._tracker.assess(poll)
            self._sessions.commit_cursors()
            self._recorder.note(poll)
        # A violation is written and acted on before anybody else comes first.
        with watch.stage("latch"):
            self._ledger.note(assessment, poll)
            self._objectives.note(assessment, poll)
            self._write_latches(now)
            if self.acting is not None:
                self.acting.take(poll, assessment, now)
        self._write_database(now, watch)
        with watch.stage("latch"):
            self._tell(assessment, poll)
        watch.give_way()
        with watch.stage("store"):
            self._showing.store(poll, assessment, self.seconds.get("total", 0.0))
            self._hot_keys.take(poll)
        watch.give_way()
        with watch.stage("groups"):
            messages = self._showing.messages(poll, assessment)
        watch.give_way()
        with watch.stage("publish"):
            publish_many(messages)
        watch.observe(self.host)
        self.seconds = watch.seconds
        accounts_watched.labels(self.host).set(len(poll.account_ids))
        # No thread runs while garbage is collected.
        if monotonic >= self._settles_at and not RIGHT_OF_WAY.is_taken():
            self._settles_at = float("inf")
            gc.collect()
            gc.freeze()
        return assessment

    def _orders_ended(self, orders: Sequence[Order]) -> None:
        self._hot_keys.wake()
        self._notices.orders_ended(orders)
        self._copy_news.ended(orders)

    def _tell(self, assessment: Assessment, poll: Poll) -> None:
        """Have told what this tick shows; what goes wrong there must not keep it from acting."""
        try:
            self._notices.note(assessment, poll)
            if self.acting is not None:
                for question in self._copy_news.due(poll.monotonic):
                    self._notices.ask(question)
            self._notices.flush(poll.now, poll.monotonic)
        except Exception as error:
            self._complaints.say("notices", f"What the tick saw could not be told: {error!r}")

    def _refresh(self, poll: Poll) -> None:
        try:
            # What is read back replaces what is in memory, so it must contain every violation.
            self._ledger.write(poll.now)
            self._latch_journal.clear()
            if self._tracker.refresh(poll):
                self._showing.lay_out(self._tracker.desk, poll.account_ids)
                self._let_settle(poll)
        except (DatabaseError, InterfaceError) as error:
            close_old_connections()
            if not self._tracker.is_loaded_for(poll):
                raise
            self._complaints.say("desk", f"Accounts and rules could not be looked at: {error}")

    def _let_settle(self, poll: Poll) -> None:
        # What lives as long as the desk need not be looked through by every full collection of
        # garbage, each of which would hold up a tick for a tenth of a second.
        gc.freeze()
        self._settles_at = poll.monotonic + SETTLING_SECONDS

    def _write_database(self, now: datetime, watch: Stopwatch) -> None:
        """Write connections, baselines and objectives; each is kept when it fails."""
        writes: tuple[tuple[str, Callable[[], object]], ...] = (
            ("connection states", lambda: self._sessions.flush(tell_connection_changes)),
            ("baselines", lambda: self._tracker.save(now)),
            ("objectives", lambda: self._objectives.write(now)),
        )
        for name, write in writes:
            watch.give_way()
            with watch.stage("latch"):
                self._write(name, write)

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

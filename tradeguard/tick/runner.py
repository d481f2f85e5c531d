"""One tick of one terminal host: poll, evaluate, latch, store, groups, publish."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID

import numpy as np
from django.db import DatabaseError, InterfaceError, close_old_connections
from redis import RedisError

from accounts.portfolio_keys import Holder
from accounts.publishing import publish_many
from accounts.sessions.host import HostSessions
from accounts.sessions.poll import Poll
from notifications.services import notify_connection_changes
from risk.core.arrays import Flags
from risk.core.group_risk import GroupRows, build_group_rows, group_risk
from risk.core.statuses import Status
from risk.latching import LatchLedger
from risk.live_objects import RuleView
from risk.tracker import Assessment, RiskTracker
from tradeguard.tick.driver import TickCounts
from tradeguard.tick.frame import Frame, build_frame, changed_accounts
from tradeguard.tick.hot_state import HotStateWriter, Stored
from tradeguard.tick.metrics import Stopwatch, accounts_watched
from tradeguard.tick.publishing import REPEAT_SECONDS, LiveObjects

logger = logging.getLogger(__name__)

_COMPLAIN_SECONDS = 30.0
_NOBODY: frozenset[UUID] = frozenset()


class HostTick:
    """The tick of one host whose sessions this process owns; call `run` from one thread."""

    def __init__(
        self, host: str, sessions: HostSessions, counts: Callable[[], TickCounts] = TickCounts
    ) -> None:
        self.host = host
        self.seconds: dict[str, float] = {}
        self._sessions = sessions
        self._counts = counts
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="history")
        self._tracker = RiskTracker(host, sessions.source, self._executor)
        self._ledger = LatchLedger()
        self._hot_state = HotStateWriter(host)
        self._sequence = 0
        self._frame: Frame | None = None
        self._frame_ids: tuple[UUID, ...] = ()
        self._watched = {"group": _NOBODY, "account": _NOBODY}
        self._published_at: dict[tuple[str, UUID], float] = {}
        self._group_statuses: dict[str, int] = {}
        self._complained_at: dict[str, float] = {}
        self._views: list[RuleView] = []
        self._number_of: dict[UUID, int] = {}
        self._holders: list[Holder | None] = []
        self._group_rows: GroupRows

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def run(self, now: datetime, monotonic: float) -> Assessment:
        """Run one tick; a database or Redis that is away is survived, and made up for later."""
        watch = Stopwatch()
        self._sequence += 1
        with watch.stage("poll"):
            poll = self._sessions.poll(now, monotonic)
        with watch.stage("evaluate"):
            self._refresh(poll)
            assessment = self._tracker.assess(poll)
            self._sessions.commit_cursors()
        with watch.stage("latch"):
            self._ledger.note(assessment, poll)
            self._write_database(now)
        with watch.stage("store"):
            frame = build_frame(
                poll,
                assessment,
                sequence=self._sequence,
                rule_ids=[str(view.id) for view in self._views],
            )
            changed = changed_accounts(self._frame, self._frame_ids, frame, poll.account_ids)
            self._frame, self._frame_ids = frame, poll.account_ids
            announced = self._announced(assessment, changed, monotonic)
            stored = self._write_redis(poll, frame, announced)
        with watch.stage("groups"):
            self._count_groups(assessment)
            live = LiveObjects(assessment.desk, self._views, poll, frame)
            messages = self._messages(live, stored) if stored else []
        with watch.stage("publish"):
            publish_many(messages)
        watch.observe(self.host)
        self.seconds = watch.seconds
        accounts_watched.labels(self.host).set(len(poll.account_ids))
        return assessment

    def _refresh(self, poll: Poll) -> None:
        try:
            if self._tracker.refresh(poll):
                self._lay_out()
        except (DatabaseError, InterfaceError) as error:
            close_old_connections()
            if not self._tracker.is_loaded_for(poll):
                raise
            self._complain("desk", f"Accounts and rules could not be looked at: {error}")

    def _lay_out(self) -> None:
        desk = self._tracker.desk
        self._number_of = {group.id: number for number, group in enumerate(desk.groups)}
        self._views = [
            RuleView(rule.id, rule.name, rule.action, rule.is_firm_rule, rule.parameters)
            for rule in desk.rules
        ]
        self._holders = [
            account
            and Holder(
                account.id,
                account.portfolio_role,
                account.login,
                account.server,
                account.currency,
            )
            for account in desk.accounts
        ]
        self._group_rows = build_group_rows(
            desk.pairs, len(desk.groups), desk.group_of, desk.account_of
        )

    def _write_database(self, now: datetime) -> None:
        """Write violations first, then connections and baselines; each is kept when it fails."""
        for name, write in (
            ("violations", lambda: self._ledger.write(now)),
            ("connection states", lambda: self._sessions.flush(notify_connection_changes)),
            ("baselines", lambda: self._tracker.save(now)),
        ):
            try:
                write()
            except (DatabaseError, InterfaceError) as error:
                close_old_connections()
                self._complain(name, f"The {name} could not be written yet: {error}")

    def _write_redis(
        self, poll: Poll, frame: Frame, announced: list[tuple[str, UUID]]
    ) -> Stored | None:
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
            **{f"groups_{name}": count for name, count in self._group_statuses.items()},
        }
        try:
            stored = self._hot_state.write(poll, frame, self._holders, announced, facts)
        except RedisError as error:
            self._complain("hot state", f"The hot state could not be written: {error}")
            return None
        self._watched = dict(stored.watched)
        return stored

    def _announced(
        self, assessment: Assessment, changed: Flags, monotonic: float
    ) -> list[tuple[str, UUID]]:
        """List what is watched and changed, or was not sent for a while: (kind, id)."""
        desk = assessment.desk
        touched = np.zeros(len(desk.groups), dtype=np.bool_)
        touched[desk.group_of[changed[desk.account_of]]] = True
        candidates: list[tuple[tuple[str, UUID], bool]] = []
        for group_id in self._watched["group"]:
            number = self._number_of.get(group_id)
            if number is not None:
                is_remote = bool(desk.groups[number].remote)
                candidates.append((("group", group_id), is_remote or bool(touched[number])))
        for account_id in self._watched["account"]:
            row = desk.account_index.get(account_id)
            if row is not None:
                candidates.append((("account", account_id), bool(changed[row])))
        announced = [
            key
            for key, is_changed in candidates
            if is_changed or monotonic - self._published_at.get(key, 0.0) >= REPEAT_SECONDS
        ]
        self._published_at.update(dict.fromkeys(announced, monotonic))
        return announced

    def _count_groups(self, assessment: Assessment) -> None:
        risk = group_risk(self._group_rows, assessment.evaluation, assessment.accounts)
        counts = np.bincount(risk.group_status, minlength=len(Status))
        self._group_statuses = {status.text: int(counts[status]) for status in Status}

    def _messages(self, live: LiveObjects, stored: Stored) -> list[tuple[str, dict[str, object]]]:
        groups, accounts = [], []
        for (kind, object_id), sequence in stored.sequences.items():
            if kind == "group":
                groups.append((self._number_of[object_id], sequence))
            else:
                accounts.append((object_id, sequence))
        try:
            return [*live.group_messages(groups), *live.account_messages(accounts)]
        except (DatabaseError, InterfaceError, RedisError) as error:
            self._complain("live objects", f"Live objects could not be built: {error}")
            return []

    def _complain(self, about: str, sentence: str) -> None:
        now = time.monotonic()
        if now - self._complained_at.get(about, float("-inf")) >= _COMPLAIN_SECONDS:
            self._complained_at[about] = now
            logger.error(sentence)

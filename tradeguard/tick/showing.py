"""What others see of the ticks of a host: the hot state, and what is sent to those who watch."""

from collections.abc import Callable, Sequence
from uuid import UUID

import numpy as np
from django.db import DatabaseError, InterfaceError, close_old_connections
from redis import RedisError

from accounts.core.clock_check import ClockWatch, WatchedClock
from accounts.portfolio_keys import Holder
from accounts.publishing import Message
from accounts.sessions.poll import Poll
from risk.core.group_risk import GroupRows, build_group_rows, group_risk
from risk.core.statuses import Status
from risk.desk import AccountFacts, Desk
from risk.tracker import Assessment
from tradeguard.tick.announcing import Announcements, Key
from tradeguard.tick.complaints import Complaints
from tradeguard.tick.driver import TickCounts
from tradeguard.tick.frame import Frame, build_frame, changed_accounts
from tradeguard.tick.hot_state import HotStateWriter, Stored
from tradeguard.tick.publishing import LiveObjects, RulesOfAccounts


class Showing:
    """Stores each tick in Redis, and chooses what of it is sent to whom; for the tick's thread."""

    def __init__(self, host: str, counts: Callable[[], TickCounts], complaints: Complaints) -> None:
        self._counts = counts
        self._complaints = complaints
        self._hot_state = HotStateWriter(host)
        self._announcements = Announcements()
        self._clocks = ClockWatch()
        self._groups_by_status: dict[str, int] = {}
        self._rules: RulesOfAccounts
        self._holders: list[Holder | None] = []
        self._group_rows: GroupRows
        self._frame: Frame | None = None
        self._frame_ids: tuple[UUID, ...] = ()
        self._stored: Stored | None = None

    def lay_out(self, desk: Desk, account_ids: Sequence[UUID]) -> None:
        """Show these accounts from now on, whose desk was loaded anew."""
        self._clocks.watch(
            [_clock(*known) for known in zip(account_ids, desk.accounts, strict=True)]
        )
        self._rules = RulesOfAccounts(desk)
        self._holders = [_holder(account) for account in desk.accounts]
        self._group_rows = build_group_rows(
            desk.pairs, len(desk.groups), desk.group_of, desk.account_of
        )

    def store(self, poll: Poll, assessment: Assessment, seconds: float) -> None:
        """Write a tick to the hot state; the one before it took so many seconds.

        Without Redis nothing of it is sent either.
        """
        frame, announced = self._find_news(poll, assessment)
        self._stored = self._write(poll, frame, announced, seconds)

    def messages(self, poll: Poll, assessment: Assessment) -> list[Message]:
        """Build what those who watch are to be sent of the tick that was stored."""
        frame, stored = self._frame, self._stored
        if frame is None or stored is None:
            return []
        live = LiveObjects(assessment.desk, self._rules, poll, frame)
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

    def _write(
        self, poll: Poll, frame: Frame, announced: list[Key], seconds: float
    ) -> Stored | None:
        counts = self._counts()
        facts = {
            "at": poll.now.timestamp(),
            "duration_ms": round(seconds * 1000, 3),
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

"""The margin cut-off before it acts: the warning, and a broker who would be first."""

from uuid import UUID

import numpy as np
from django.urls import reverse

from notifications.models import NotificationType, Priority
from notifications.services import Message
from risk.core.arrays import Flags, Floats, Integers
from risk.core.statuses import Status
from risk.desk import AccountFacts, Desk
from risk.orders.view import HostView
from risk.services.cutoff import stop_out_sentence

STOP_OUT_IN_PERCENT = 0  # ACCOUNT_STOPOUT_MODE_PERCENT


class MarginWatch:
    """Finds, from view to view, the accounts whose margin level has just fallen to the warning."""

    def __init__(self) -> None:
        self._desk: Desk | None = None
        self._pairs: Integers = np.empty(0, dtype=np.int64)
        self._rows: Integers = np.empty(0, dtype=np.int64)
        self._limits: Floats = np.empty(0)
        self._warned: Flags = np.empty(0, dtype=np.bool_)
        self._told_level: Floats = np.empty(0)
        self._warned_ids: set[UUID] = set()
        self._seen_ids: set[UUID] = set()

    def news(self, view: HostView) -> list[tuple[Message, bool]]:
        """Return the messages of this view, each with whether a recent one makes it idle.

        A warning is told again only when the level was above its threshold in between.
        """
        self._follow(view.assessment.desk)
        if not len(self._pairs):
            return []
        present = view.assessment.evaluation.present[self._pairs]
        known = present != Status.UNKNOWN
        below = known & (present != Status.SAFE)
        fallen = np.flatnonzero(below & ~self._warned).tolist()
        found = [self._warning(view, place) for place in fallen]
        self._warned = np.where(known, below, self._warned)
        return found + self._stop_outs(view, known)

    def _follow(self, desk: Desk) -> None:
        if desk is self._desk:
            return
        if self._desk is not None:
            ids = [self._account(int(row)).id for row in self._rows]
            self._warned_ids = {
                one for one, warned in zip(ids, self._warned, strict=True) if warned
            }
        self._desk, pairs = desk, desk.pairs
        cutoffs = np.array([rule.is_cutoff for rule in desk.rules], dtype=np.bool_)
        self._pairs = np.flatnonzero(cutoffs[pairs.rule_index]) if len(cutoffs) else self._pairs[:0]
        self._rows = pairs.account_index[self._pairs]
        self._limits = np.array(
            [float(pairs.rule(int(pair)).limit) for pair in self._pairs], dtype=np.float64
        )
        self._warned = np.array(
            [self._account(int(row)).id in self._warned_ids for row in self._rows], dtype=np.bool_
        )
        self._told_level = np.zeros(len(self._pairs))

    def _account(self, row: int) -> AccountFacts:
        account = self._desk.accounts[row] if self._desk is not None else None
        if account is None:
            raise LookupError(f"Row {row} has a rule, but no account.")
        return account

    def _warning(self, view: HostView, place: int) -> tuple[Message, bool]:
        account = self._account(int(self._rows[place]))
        is_first = account.id not in self._seen_ids
        self._seen_ids.add(account.id)
        level = float(view.assessment.evaluation.value[self._pairs[place]])
        return _warning(account, level, view.assessment.moment), is_first

    def _stop_outs(self, view: HostView, known: Flags) -> list[tuple[Message, bool]]:
        """Say, once for each level, that the broker would close before the cut-off does."""
        readings = view.poll.batch.accounts[self._rows]
        levels = readings["stop_out_level"]
        is_first = known & (readings["stop_out_mode"] == STOP_OUT_IN_PERCENT)
        is_first &= (levels > self._limits) & (levels != self._told_level)
        found = []
        for place in np.flatnonzero(is_first):
            self._told_level[place] = levels[place]
            account = self._account(int(self._rows[place]))
            found.append((_earlier(account, float(levels[place]), self._limits[place]), False))
        return found


def _earlier(account: AccountFacts, level: float, limit: float) -> Message:
    return Message(
        user_id=account.user_id,
        type=NotificationType.MARGIN_WARNING,
        priority=Priority.MEDIUM,
        title=f"{account.name}: the broker liquidates before the margin cut-off",
        body=f"{account.name}: {stop_out_sentence(level, limit)} Other accounts with the same terms"
        " are counted here, not told one by one.",
        link=reverse("account-detail", args=[account.id]),
        object_type="account",
        object_id=str(account.id),
        dedupe_key=f"stop_out_above:{account.id}:{level:g}:{limit:g}",
        # One decision about one level: a desk of fifty accounts is no fifty letters.
        repeat_key=f"stop_out_above:{level:g}:{limit:g}",
    )


def _warning(account: AccountFacts, level: float, moment: float) -> Message:
    return Message(
        user_id=account.user_id,
        type=NotificationType.MARGIN_WARNING,
        priority=Priority.URGENT,
        title=f"{account.name}: the margin is running out",
        body=f"The margin level is {level:,.1f} %. Close something or add money before everything"
        " is liquidated.",
        link=reverse("account-detail", args=[account.id]),
        object_type="account",
        object_id=str(account.id),
        dedupe_key=f"margin_warning:{account.id}:{moment:.3f}",
    )

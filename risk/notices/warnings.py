"""Rules that come close to their limits: told when they get closer, and not at every wobble."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.urls import reverse

from accounts.sessions.poll import Poll
from notifications.models import Notification, NotificationType, Priority
from notifications.services import Message
from risk.core.arrays import Codes, Flags, Floats, Integers
from risk.core.figures import Currency
from risk.core.pair_numbers import pair_numbers
from risk.core.rule_types import OBJECTIVES
from risk.core.sentences import risk_sentence
from risk.core.statuses import Status
from risk.desk import Desk
from risk.tracker import Assessment

# So long a rule has to be better before the same is told of it again.
CALM_SECONDS: Final = 600.0
# A worker that has just started does not know what its predecessor told.
RECENTLY: Final = timedelta(hours=24)
_IDS_PER_QUERY: Final = 500

_UNKNOWN: Final = -1
_CAUTION: Final = 1
_CRITICAL: Final = 2
# By status; what is violated is told by the breach.
_LEVELS: Final = np.array([0, _CAUTION, _UNKNOWN, _CRITICAL, _CRITICAL], dtype=np.int8)

Key = tuple[UUID, UUID]  # rule, account


@dataclass(frozen=True, slots=True)
class Rises:
    """The pairs that came closer to their limits in one tick, and which this process knew not."""

    assessment: Assessment
    poll: Poll
    pairs: Integers
    is_first: Flags  # per element of `pairs`

    def messages(self) -> Iterator[Message]:
        """Put into words what this process saw coming closer."""
        return (self._message(int(pair)) for pair in self.pairs[~self.is_first])

    def first_messages(self) -> Iterator[Message]:
        """Put into words what may have been told by the process before this one."""
        return (self._message(int(pair)) for pair in self.pairs[self.is_first])

    def _message(self, pair: int) -> Message:
        assessment, batch = self.assessment, self.poll.batch
        desk = assessment.desk
        rule, row = desk.rules[int(desk.pairs.rule_index[pair])], desk.pairs.account_index[pair]
        account = desk.accounts[row]
        if account is None:  # pragma: no cover  # a pair exists only where the account does
            raise LookupError(f"Pair {pair} has no account.")
        level = int(_LEVELS[assessment.evaluation.present[pair]])
        numbers = pair_numbers(assessment.evaluation, assessment.latches.state, pair, batch.symbols)
        reading = batch.accounts[row]
        currency = Currency(
            batch.currencies[int(reading["currency"])], int(reading["currency_digits"])
        )
        is_critical = level == _CRITICAL
        what = "is almost at its limit" if is_critical else "comes closer to its limit"
        return Message(
            user_id=account.user_id,
            type=NotificationType.RISK_WARNING,
            priority=Priority.HIGH if is_critical else Priority.MEDIUM,
            title=f"{account.name}: “{rule.name}” {what}",
            body=f"{risk_sentence(account.name, rule.parameters, numbers, currency)}.",
            link=reverse("account-detail", args=[account.id]),
            object_type="account",
            object_id=str(account.id),
            dedupe_key=f"{_prefix(rule.id, account.id)}:{level}:{assessment.moment:.3f}",
            repeat_key=f"{rule.id}:{account.id}:{level}",
        )


class WarningWatch:
    """Compares, from tick to tick, how close each pair is with how close it was told to be.

    Used by the tick of one host alone. A pair that gets better has to stay so for a while before
    it is news again that it gets worse; what is not known changes nothing.
    """

    def __init__(self) -> None:
        self._desk: Desk | None = None
        self._keys: list[Key] = []
        self._watched: Flags = np.empty(0, dtype=np.bool_)
        self._present: Codes = np.empty(0, dtype=np.int8)
        self._told: Codes = np.empty(0, dtype=np.int8)
        self._seen: Flags = np.empty(0, dtype=np.bool_)
        self._better_since: Floats = np.empty(0)
        self._look_at = float("inf")

    def note(self, assessment: Assessment, poll: Poll) -> Rises | None:
        """Return what came closer to its limit by this tick; None when nothing did."""
        if assessment.desk is not self._desk:
            self._follow(assessment.desk)
        present, moment = assessment.evaluation.present, assessment.moment
        if moment < self._look_at and np.array_equal(present, self._present):
            return None
        self._present = present
        level = _LEVELS[present]
        known = level != _UNKNOWN
        rising = self._watched & (level > self._told)
        is_calm = self._calmed(known & (level < self._told), known, moment)
        self._told = np.where(rising | is_calm, level, self._told)
        told_otherwise = assessment.latches.state.latched | (present == Status.VIOLATED)
        pairs = np.flatnonzero(rising & ~told_otherwise)
        is_first = ~self._seen[pairs]
        self._seen |= known
        return Rises(assessment, poll, pairs, is_first) if len(pairs) else None

    def _calmed(self, better: Flags, known: Flags, moment: float) -> Flags:
        """Tell which pairs have been better than they were told for long enough."""
        since = np.where(np.isnan(self._better_since), moment, self._better_since)
        since = np.where(better, since, np.where(known, np.nan, self._better_since))
        calmed: Flags = better & (moment - since >= CALM_SECONDS)
        self._better_since = np.where(calmed, np.nan, since)
        waiting = self._better_since[better & ~calmed]
        self._look_at = float(waiting.min()) + CALM_SECONDS if len(waiting) else float("inf")
        return calmed

    def _follow(self, desk: Desk) -> None:
        """Carry over to another desk what was told of the pairs that it still has."""
        before = self._remembered()
        table = desk.pairs
        watched = np.ones(len(table), dtype=np.bool_)
        for rule_type in OBJECTIVES:
            watched[table.slice_of(rule_type)] = False
        cutoffs = np.array([rule.is_cutoff for rule in desk.rules], dtype=np.bool_)
        if len(cutoffs):
            watched &= ~cutoffs[table.rule_index]
        self._desk, self._keys, self._watched = desk, desk.pair_keys(), watched
        self._present = np.empty(0, dtype=np.int8)
        self._told = np.zeros(len(table), dtype=np.int8)
        self._seen = np.zeros(len(table), dtype=np.bool_)
        self._better_since = np.full(len(table), np.nan)
        for pair, key in enumerate(self._keys if before else ()):
            known = before.get(key)
            if known is not None:
                self._told[pair], self._better_since[pair] = known
                self._seen[pair] = True

    def _remembered(self) -> Mapping[Key, tuple[int, float]]:
        """Return, by pair that was seen, what was told of it and since when it is better."""
        return {
            self._keys[pair]: (int(self._told[pair]), float(self._better_since[pair]))
            for pair in np.flatnonzero(self._seen).tolist()
        }


def not_told_lately(messages: Sequence[Message], now: datetime) -> list[Message]:
    """Leave out the warnings that this account's user had lately, or worse ones."""
    told: dict[str, int] = {}
    ids = sorted({message.object_id for message in messages})
    for start in range(0, len(ids), _IDS_PER_QUERY):
        rows = Notification.objects.filter(
            type=NotificationType.RISK_WARNING,
            object_type="account",
            object_id__in=ids[start : start + _IDS_PER_QUERY],
            created_at__gt=now - RECENTLY,
        )
        for key in rows.order_by().values_list("dedupe_key", flat=True):
            prefix, level = _parts(key)
            told[prefix] = max(told.get(prefix, 0), level)
    return [
        message
        for message in messages
        for prefix, level in (_parts(message.dedupe_key),)
        if told.get(prefix, 0) < level
    ]


def _prefix(rule_id: UUID, account_id: UUID) -> str:
    return f"risk_warning:{rule_id}:{account_id}"


def _parts(key: str) -> tuple[str, int]:
    prefix, level, _ = key.rsplit(":", 2)
    return prefix, int(level)

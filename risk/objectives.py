"""Objectives that were reached: told once, never acted on."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

import numpy as np
from django.urls import reverse

from accounts.sessions.poll import Poll
from notifications.models import NotificationType, Priority
from notifications.services import Message, notify
from risk.core.arrays import Integers
from risk.core.figures import Currency
from risk.core.pair_numbers import pair_numbers
from risk.core.rule_types import RuleType
from risk.core.sentences import risk_sentence
from risk.desk import AccountFacts, Desk, RuleFacts
from risk.tracker import Assessment

# Of many that are found reached at once, as when a worker starts; the others follow.
MOST_PER_TICK: Final = 50
_TO_REACH: Final = (RuleType.PROFIT_TARGET, RuleType.MIN_TRADING_DAYS)


@dataclass(frozen=True, slots=True)
class _Occasion:
    """What is told once: a target by its limit, the best day's share once a day (UTC)."""

    rule_id: UUID
    account_id: UUID
    limit: str
    day: date | None

    @property
    def dedupe_key(self) -> str:
        when = "" if self.day is None else f":{self.day}"
        return f"objective:{self.rule_id}:{self.account_id}:{self.limit}{when}"


class ObjectiveWatch:
    """Notices what was reached, and keeps what is to be told until the database has it.

    Used by the tick of one host alone. What a worker before this one has told is not told again:
    the notification's key says so.
    """

    def __init__(self) -> None:
        self._desk: Desk | None = None
        self._today: date | None = None
        self._seen = np.zeros(0, dtype=np.bool_)  # per pair of the desk
        self._told: set[_Occasion] = set()
        self._waiting: list[Message] = []

    def note(self, assessment: Assessment, poll: Poll) -> None:
        """Take what this tick shows reached for the first time."""
        desk, today = assessment.desk, datetime.fromtimestamp(assessment.moment, UTC).date()
        if desk is not self._desk or today != self._today:
            self._desk, self._today = desk, today
            self._seen = np.zeros(len(desk.pairs), dtype=np.bool_)
            self._told = {known for known in self._told if known.day in (None, today)}
        reached = _reached(assessment)
        for found in _found(desk, reached[~self._seen[reached]]):
            occasion = _occasion(found, today)
            if occasion not in self._told:
                self._told.add(occasion)
                self._waiting.append(_message(assessment, poll, found, occasion))
        self._seen[reached] = True

    def write(self, now: datetime) -> None:
        """Tell some of what waits; raises a database error when that fails, and keeps it."""
        if self._waiting:
            notify(self._waiting[:MOST_PER_TICK], now=now)
            del self._waiting[:MOST_PER_TICK]


def _reached(assessment: Assessment) -> Integers:
    """Return the pairs of objectives that are reached, or no longer kept; none is not known."""
    table, left = assessment.desk.pairs, assessment.evaluation.left
    found = [
        part.start + np.flatnonzero(left[part] <= 0)
        for part in (table.slice_of(rule_type) for rule_type in _TO_REACH)
    ]
    best_day = table.slice_of(RuleType.CONSISTENCY)
    found.append(best_day.start + np.flatnonzero(left[best_day] < 0))
    return np.concatenate(found)


@dataclass(frozen=True, slots=True)
class _Found:
    """A pair that is reached, with its rule, its account and the account's row."""

    pair: int
    row: int
    rule: RuleFacts
    account: AccountFacts


def _found(desk: Desk, pairs: Integers) -> Iterator[_Found]:
    for pair in pairs.tolist():
        row = int(desk.pairs.account_index[pair])
        account = desk.accounts[row]
        if account is not None:
            yield _Found(pair, row, desk.rules[int(desk.pairs.rule_index[pair])], account)


def _occasion(found: _Found, today: date) -> _Occasion:
    parameters = found.rule.parameters
    is_daily = parameters.rule_type is RuleType.CONSISTENCY
    limit = f"{parameters.limit.normalize():f}"
    return _Occasion(found.rule.id, found.account.id, limit, today if is_daily else None)


def _message(assessment: Assessment, poll: Poll, found: _Found, occasion: _Occasion) -> Message:
    rule, account, batch = found.rule, found.account, poll.batch
    state = assessment.latches.state
    numbers = pair_numbers(assessment.evaluation, state, found.pair, batch.symbols)
    reading = batch.accounts[found.row]
    currency = Currency(batch.currencies[int(reading["currency"])], int(reading["currency_digits"]))
    what = "is reached" if occasion.day is None else "is not kept at present"
    return Message(
        user_id=account.user_id,
        type=NotificationType.OBJECTIVE,
        priority=Priority.MEDIUM,
        title=f"{account.name}: “{rule.name}” {what}",
        body=f"{risk_sentence(account.name, rule.parameters, numbers, currency)}.",
        link=reverse("account-detail", args=[account.id]),
        object_type="account",
        object_id=str(account.id),
        dedupe_key=occasion.dedupe_key,
    )

"""Violations on their way into the ledger: written before anything acts on them."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.urls import reverse

from accounts.models import ConnectedAccount
from accounts.sessions.poll import Poll
from notifications.models import NotificationType, Priority
from notifications.services import Message, notify
from risk.core.figures import Currency
from risk.core.pair_numbers import pair_numbers
from risk.core.rule_types import RuleType
from risk.core.sentences import breach_sentence, unit_of
from risk.models import RiskRule, RuleBreach
from risk.tracker import Assessment

_NEW_DAY = "Ended by itself: a new trading day began."
_HELD_INSIDE = "Ended by itself: it was inside the limit for the rule's hold time."
_TARGET_DELETED = "The rule or the account was deleted at the same moment."

Key = tuple[UUID, UUID]  # rule, account


@dataclass(frozen=True, slots=True)
class _Cleared:
    rule_id: UUID
    account_id: UUID
    at: datetime
    reason: str


class LatchLedger:
    """Keeps what the ticks decided until the database has it, in order.

    A database that is away for a moment costs no violation: what could not be written is written by
    the next tick, with the moment and the numbers at which it was seen.
    """

    def __init__(self) -> None:
        self._unwritten: list[_Cleared | RuleBreach] = []

    @property
    def unwritten(self) -> list[RuleBreach]:
        """The violations that the database does not have yet."""
        return [change for change in self._unwritten if isinstance(change, RuleBreach)]

    def restore(self, breaches: Sequence[RuleBreach]) -> None:
        """Take what a worker before this one had seen and could not write."""
        self._unwritten[:0] = breaches

    def note(self, assessment: Assessment, poll: Poll) -> None:
        """Take the latches that this tick opened and cleared."""
        if not len(assessment.latches.opened) and not len(assessment.latches.cleared):
            return
        at = datetime.fromtimestamp(assessment.moment, UTC)
        keys = assessment.desk.pair_keys()
        for pair in assessment.latches.cleared.tolist():
            rule_id, account_id = keys[pair]
            is_daily = assessment.desk.pairs.rule_type(pair) is RuleType.MAX_DAILY_LOSS
            reason = _NEW_DAY if is_daily else _HELD_INSIDE
            self._unwritten.append(_Cleared(rule_id, account_id, at, reason))
        for pair in assessment.latches.opened.tolist():
            self._unwritten.append(_breach(assessment, poll, pair, at))

    def write(self, now: datetime) -> int:
        """Write what is waiting, with its notifications, in one transaction; return how much.

        Raises a database error when that fails; everything is kept for the next time.
        """
        if not self._unwritten:
            return 0
        with transaction.atomic():
            self._write(now)
        count = len(self._unwritten)
        self._unwritten.clear()
        return count

    def _write(self, now: datetime) -> None:
        opened, over = self._settle()
        opened = _without_latched(opened)
        _clear_orphans(opened, now)
        breaches = over + opened
        RuleBreach.objects.bulk_create(breaches)
        for rule_id, count in Counter(breach.rule_id for breach in breaches).items():
            last = max(each.latched_at for each in breaches if each.rule_id == rule_id)
            RiskRule.objects.filter(pk=rule_id).update(
                breach_count=F("breach_count") + count, last_breach_at=last
            )
        told = [breach for breach in breaches if breach.cleared_reason != _TARGET_DELETED]
        notify([_message(breach) for breach in told], now=now)

    def _settle(self) -> tuple[list[RuleBreach], list[RuleBreach]]:
        """Clear what ended and return the breaches in force, and those that are over already."""
        opened: dict[Key, RuleBreach] = {}
        over: list[RuleBreach] = []
        cleared: dict[tuple[UUID, datetime, str], list[UUID]] = {}
        for change in self._unwritten:
            key = (change.rule_id, change.account_id)
            if isinstance(change, RuleBreach):
                opened[key] = change
                continue
            same = cleared.setdefault((change.rule_id, change.at, change.reason), [])
            same.append(change.account_id)
            breach = opened.pop(key, None)
            if breach is not None:
                over.append(_ended(breach, change.at, change.reason))
        for (rule_id, at, reason), account_ids in cleared.items():
            # One that began later is another violation, seen by whoever watches the host now.
            RuleBreach.objects.latched().filter(
                rule_id=rule_id, account_id__in=account_ids, latched_at__lte=at
            ).update(cleared_at=at, cleared_reason=reason)
        return list(opened.values()), over


def _without_latched(breaches: Sequence[RuleBreach]) -> list[RuleBreach]:
    """Leave out what the ledger holds already, as after a worker that died right after writing."""
    held = set(
        RuleBreach.objects.latched()
        .filter(account_id__in={breach.account_id for breach in breaches})
        .values_list("rule_id", "account_id")
    )
    return [breach for breach in breaches if (breach.rule_id, breach.account_id) not in held]


def _clear_orphans(breaches: Sequence[RuleBreach], now: datetime) -> None:
    """End the breaches whose rule or account is gone: nobody could acknowledge them any more.

    The others are locked, so that whoever deletes one of them finds its breach and ends it.
    """
    rules = _locked(RiskRule.objects.filter(pk__in={each.rule_id for each in breaches}))
    accounts = _locked(ConnectedAccount.objects.filter(pk__in={b.account_id for b in breaches}))
    for breach in breaches:
        if breach.rule_id not in rules or breach.account_id not in accounts:
            _ended(breach, now, _TARGET_DELETED)


def _locked(rows: QuerySet[Any]) -> set[UUID]:
    return set(rows.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))


def _ended(breach: RuleBreach, at: datetime, reason: str) -> RuleBreach:
    breach.cleared_at, breach.cleared_reason = at, reason
    return breach


def _breach(assessment: Assessment, poll: Poll, pair: int, at: datetime) -> RuleBreach:
    desk = assessment.desk
    rule = desk.rules[desk.pairs.rule_index[pair]]
    row = int(desk.pairs.account_index[pair])
    account = desk.accounts[row]
    if account is None:  # pragma: no cover  # a pair exists only where the account does
        raise LookupError(f"Pair {pair} has no account.")
    numbers = pair_numbers(
        assessment.evaluation, assessment.latches.state, pair, poll.batch.symbols
    )
    reading = poll.batch.accounts[row]
    currency = Currency(
        poll.batch.currencies[int(reading["currency"])], int(reading["currency_digits"])
    )
    return RuleBreach(
        id=uuid.uuid4(),
        user_id=account.user_id,
        rule_id=rule.id,
        account_id=account.id,
        rule_name=rule.name,
        rule_type=rule.parameters.rule_type.value,
        account_name=account.name,
        observed=numbers.value,
        limit=numbers.limit if numbers.limit is not None else float(rule.parameters.limit),
        floor=numbers.floor,
        unit=unit_of(rule.parameters.rule_type, currency.name)[:16],
        message=breach_sentence(account.name, rule.parameters, numbers, currency)[:255],
        latched_at=at,
    )


def _message(breach: RuleBreach) -> Message:
    return Message(
        user_id=breach.user_id,
        type=NotificationType.RISK_BREACH,
        priority=Priority.URGENT,
        title=f"{breach.account_name}: “{breach.rule_name}” is violated"[:160],
        body=breach.message,
        link=reverse("account-detail", args=[breach.account_id]),
        object_type="account",
        object_id=str(breach.account_id),
        dedupe_key=f"risk_breach:{breach.id}",
    )

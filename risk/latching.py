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

from accounts.models import ConnectedAccount
from accounts.sessions.poll import Poll
from notifications.services import notify
from risk.breach_messages import breach_messages
from risk.core.figures import Currency
from risk.core.latches import DAILY_TYPES
from risk.core.pair_numbers import pair_numbers
from risk.core.rule_types import LOSS_RULES
from risk.core.sentences import breach_sentence, unit_of
from risk.desk import AccountFacts, RuleFacts
from risk.evidence import evidence_of
from risk.ledger.entries import Change as Entry
from risk.ledger.entries import Insert
from risk.models import RiskRule, RuleBreach
from risk.tracker import Assessment

_NEW_DAY = "Ended by itself: a new trading day began."
_HELD_INSIDE = "Ended by itself: it was inside the limit for the rule's hold time."
_OUT_OF_MARGIN = "Ended by itself: the safety margin was left again."
_VIOLATED_AGAIN = "Ended: it was violated again after it had been acknowledged."
_TARGET_DELETED = "The rule or the account was deleted at the same moment."

# What an early breach takes over when the limit itself is reached.
_MEASURED = ("observed", "limit", "floor", "unit", "message")

Key = tuple[UUID, UUID]  # rule, account


@dataclass(frozen=True, slots=True)
class _Cleared:
    rule_id: UUID
    account_id: UUID
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class _Escalated:
    """The limit itself was reached by what had been latched within the safety margin."""

    breach_id: UUID
    rule_id: UUID
    account_id: UUID
    at: datetime
    numbers: dict[str, Any]  # columns of the breach

    def entry(self) -> Entry:
        keys = {"rule_id": self.rule_id, "account_id": self.account_id}
        return Entry(RuleBreach, self.breach_id, {**keys, "violated_at": self.at, **self.numbers})


class LatchLedger:
    """Keeps what the ticks decided until the database has it, in order.

    A database that is away for a moment costs no violation: what could not be written is written by
    the next tick, with the moment and the numbers at which it was seen.
    """

    def __init__(self) -> None:
        self._unwritten: list[_Cleared | _Escalated | RuleBreach] = []

    @property
    def unwritten(self) -> list[Insert | Entry]:
        """The violations that the database does not have yet, and those that grew meanwhile.

        What ended is not among them: whoever reads a violation back finds out that it is over.
        """
        return [
            Insert(change) if isinstance(change, RuleBreach) else change.entry()
            for change in self._unwritten
            if not isinstance(change, _Cleared)
        ]

    def restore(self, entries: Sequence[Insert | Entry]) -> None:
        """Take what a worker before this one had seen and could not write."""
        self._unwritten[:0] = [change for entry in entries if (change := _restored(entry))]

    def note(self, assessment: Assessment, poll: Poll) -> None:
        """Take the latches that this tick opened and cleared."""
        latches = assessment.latches
        if not any(map(len, (latches.opened, latches.cleared, latches.escalated))):
            return
        at = datetime.fromtimestamp(assessment.moment, UTC)
        keys = assessment.desk.pair_keys()
        for pair in latches.cleared.tolist():
            rule_id, account_id = keys[pair]
            reason = _why_cleared(assessment, pair)
            self._unwritten.append(_Cleared(rule_id, account_id, at, reason))
        for pair in latches.opened.tolist():
            self._unwritten.append(_breach(assessment, poll, pair, at))
        for pair in latches.escalated.tolist():
            rule_id, account_id = keys[pair]
            breach_id = assessment.breach_ids.get(pair)
            if breach_id is not None:
                numbers = _numbers(assessment, poll, pair)
                self._unwritten.append(_Escalated(breach_id, rule_id, account_id, at, numbers))

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
        changes = _merged(self._unwritten)
        opened, over = _settle(changes)
        opened, over = _without_latched(_unknown(opened)), _unknown(over)
        _clear_orphans(opened, now)
        breaches = over + opened
        RuleBreach.objects.bulk_create(breaches)
        escalated = _escalate([each for each in changes if isinstance(each, _Escalated)])
        # A breach counts once, when the limit itself is reached.
        _count([breach for breach in (*breaches, *escalated) if breach.violated_at is not None])
        told = [breach for breach in breaches if breach.cleared_reason != _TARGET_DELETED]
        notify(breach_messages([*told, *escalated]), now=now)


Change = _Cleared | _Escalated | RuleBreach


def _restored(entry: Insert | Entry) -> RuleBreach | _Escalated | None:
    if isinstance(entry, Insert):
        return entry.row if isinstance(entry.row, RuleBreach) else None
    numbers = dict(entry.fields)
    keys = (numbers.pop("rule_id"), numbers.pop("account_id"), numbers.pop("violated_at"))
    return _Escalated(entry.pk, *keys, numbers)


def _merged(changes: Sequence[Change]) -> list[Change]:
    """Let breaches that are not written yet take their escalation themselves."""
    unwritten = {change.pk: change for change in changes if isinstance(change, RuleBreach)}
    merged: list[Change] = []
    for change in changes:
        breach = unwritten.get(change.breach_id) if isinstance(change, _Escalated) else None
        if breach is None:
            merged.append(change)
        elif isinstance(change, _Escalated):
            _reach_limit(breach, change)
    return merged


def _reach_limit(breach: RuleBreach, change: _Escalated) -> None:
    breach.violated_at = change.at
    for name, value in change.numbers.items():
        setattr(breach, name, value)


def _settle(changes: Sequence[Change]) -> tuple[list[RuleBreach], list[RuleBreach]]:
    """Clear what ended and return the breaches in force, and those that are over already."""
    opened: dict[Key, RuleBreach] = {}
    over: list[RuleBreach] = []
    cleared: dict[tuple[UUID, datetime, str], list[UUID]] = {}
    for change in changes:
        key = (change.rule_id, change.account_id)
        if isinstance(change, RuleBreach):
            opened[key] = change
        elif isinstance(change, _Cleared):
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


def _escalate(changes: Sequence[_Escalated]) -> list[RuleBreach]:
    """Note in stored early breaches that they reached the limit; return those that did now."""
    ids = {change.breach_id: change for change in changes}
    stored = RuleBreach.objects.filter(pk__in=ids, violated_at=None, is_early=True)
    breaches = list(stored.order_by("pk").select_for_update())
    for breach in breaches:
        _reach_limit(breach, ids[breach.pk])
    RuleBreach.objects.bulk_update(breaches, ["violated_at", *_MEASURED])
    return breaches


def _count(breaches: Sequence[RuleBreach]) -> None:
    for rule_id, count in Counter(breach.rule_id for breach in breaches).items():
        moments = [each.violated_at for each in breaches if each.rule_id == rule_id]
        last = max(moment for moment in moments if moment is not None)
        RiskRule.objects.filter(pk=rule_id).update(
            breach_count=F("breach_count") + count, last_breach_at=last
        )


def _unknown(breaches: Sequence[RuleBreach]) -> list[RuleBreach]:
    """Leave out what was written already: by a worker that died right after it, or by this one.

    Whether a transaction whose answer was lost has been committed, only the rows tell.
    """
    ids = [breach.pk for breach in breaches]
    written = set(RuleBreach.objects.filter(pk__in=ids).values_list("pk", flat=True))
    return [breach for breach in breaches if breach.pk not in written]


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


def _why_cleared(assessment: Assessment, pair: int) -> str:
    latches, table = assessment.latches, assessment.desk.pairs
    if pair in latches.renewed:
        return _VIOLATED_AGAIN
    if table.rule_type(pair) in DAILY_TYPES:
        return _NEW_DAY
    return _OUT_OF_MARGIN if table.rule_type(pair) in LOSS_RULES else _HELD_INSIDE


def _breach(assessment: Assessment, poll: Poll, pair: int, at: datetime) -> RuleBreach:
    rule, row, account = _place(assessment, pair)
    is_early = bool(assessment.latches.state.is_early[pair])
    return RuleBreach(
        id=assessment.breach_ids.get(pair) or uuid.uuid4(),
        user_id=account.user_id,
        rule_id=rule.id,
        account_id=account.id,
        rule_name=rule.name,
        rule_type=rule.parameters.rule_type.value,
        account_name=account.name,
        is_early=is_early,
        violated_at=None if is_early else at,
        evidence=evidence_of(poll, row, account),
        latched_at=at,
        **_numbers(assessment, poll, pair),
    )


def _place(assessment: Assessment, pair: int) -> tuple[RuleFacts, int, AccountFacts]:
    desk = assessment.desk
    row = int(desk.pairs.account_index[pair])
    account = desk.accounts[row]
    if account is None:  # pragma: no cover  # a pair exists only where the account does
        raise LookupError(f"Pair {pair} has no account.")
    return desk.rules[int(desk.pairs.rule_index[pair])], row, account


def _numbers(assessment: Assessment, poll: Poll, pair: int) -> dict[str, Any]:
    """Return what was measured, and the sentence about it, as columns of a breach."""
    rule, row, account = _place(assessment, pair)
    state = assessment.latches.state
    numbers = pair_numbers(assessment.evaluation, state, pair, poll.batch.symbols)
    reading = poll.batch.accounts[row]
    currency = Currency(
        poll.batch.currencies[int(reading["currency"])], int(reading["currency_digits"])
    )
    is_early = bool(state.is_early[pair])
    message = breach_sentence(account.name, rule.parameters, numbers, currency, is_early=is_early)
    return {
        "observed": numbers.value,
        "limit": numbers.limit if numbers.limit is not None else float(rule.parameters.limit),
        "floor": numbers.floor,
        "unit": unit_of(rule.parameters.rule_type, currency.name)[:16],
        "message": message[:255],
    }

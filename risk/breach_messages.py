"""What people are told when a breach begins, and what is done about it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from django.urls import reverse

from notifications.models import NotificationType, Priority
from notifications.services import Message
from risk.core.rule_types import ARMED_ACTIONS, Action
from risk.models import RiskRule, RuleArming, RuleBreach, RuleOverride

Key = tuple[UUID, UUID]  # rule, account

_ACTING: Final = {
    Action.ALERT: "The rule alerts; it does nothing else.",
    Action.BLOCK: "New orders through TradeGuard are blocked.",
    Action.REDUCE_SIZE: "What is in excess is being closed.",
    Action.CLOSE_POSITION: "The offending positions are being closed.",
    Action.CLOSE_ALL: "Everything is being closed, and the account is locked.",
}
_NOT_ARMED: Final = "Its action is not armed here, so nothing is closed"
_ARMED_LATE: Final = "It began before the rule was armed, so nothing is closed"


def breach_messages(breaches: Sequence[RuleBreach]) -> list[Message]:
    """Build a message for each breach: it began, or what was early has reached its limit."""
    if not breaches:
        return []
    actions, armed = _actions(breaches), _armed(breaches)
    rule_ids = {breach.rule_id for breach in breaches}
    cutoffs = set(
        RiskRule.objects.filter(pk__in=rule_ids, is_cutoff=True).values_list("pk", flat=True)
    )
    return [_message(breach, actions, armed, cutoffs) for breach in breaches]


def _message(
    breach: RuleBreach,
    actions: Mapping[Key, Action],
    armed: Mapping[Key, RuleArming],
    cutoffs: Collection[UUID],
) -> Message:
    key = (breach.rule_id, breach.account_id)
    is_violated = breach.violated_at is not None
    state = "is violated" if is_violated else "acts before its limit"
    # An early breach is told again when the limit itself is reached.
    suffix = ":violated" if is_violated and breach.is_early else ""
    done = _consequence(breach, actions.get(key), armed.get(key))
    title = f"{breach.account_name}: “{breach.rule_name}” {state}"
    is_liquidation = breach.rule_id in cutoffs and done == _ACTING[Action.CLOSE_ALL]
    if is_liquidation:
        title = f"{breach.account_name} is being liquidated: the margin ran out"
    return Message(
        user_id=breach.user_id,
        type=NotificationType.LIQUIDATION if is_liquidation else NotificationType.RISK_BREACH,
        priority=Priority.URGENT,
        title=title[:160],
        body=f"{breach.message} {done}".strip(),
        link=reverse("account-detail", args=[breach.account_id]),
        object_type="account",
        object_id=str(breach.account_id),
        dedupe_key=f"risk_breach:{breach.id}{suffix}",
    )


def _consequence(breach: RuleBreach, action: Action | None, arming: RuleArming | None) -> str:
    if action is None or breach.cleared_at is not None:
        return ""
    if action not in ARMED_ACTIONS:
        return _ACTING[action]
    began_at = breach.violated_at or breach.latched_at
    if arming is not None and arming.calm_at is not None and began_at >= arming.calm_at:
        return _ACTING[action]
    why = _NOT_ARMED if arming is None else _ARMED_LATE
    return f"{why}; new orders through TradeGuard are held back."


def _actions(breaches: Sequence[RuleBreach]) -> dict[Key, Action]:
    rule_ids = {breach.rule_id for breach in breaches}
    account_ids = {breach.account_id for breach in breaches}
    shared = dict(RiskRule.objects.filter(pk__in=rule_ids).values_list("pk", "action"))
    own = RuleOverride.objects.filter(rule__in=rule_ids, account__in=account_ids)
    differing = {
        (rule_id, account_id): action
        for rule_id, account_id, action in own.values_list("rule_id", "account_id", "action")
        if action
    }
    keys = {(breach.rule_id, breach.account_id) for breach in breaches}
    return {key: Action(differing.get(key, shared[key[0]])) for key in keys if key[0] in shared}


def _armed(breaches: Sequence[RuleBreach]) -> dict[Key, RuleArming]:
    rows = RuleArming.objects.filter(
        rule__in={breach.rule_id for breach in breaches},
        account__in={breach.account_id for breach in breaches},
    )
    return {(row.rule_id, row.account_id): row for row in rows}

"""Arming: a person's word that a rule may reduce and close on an account."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from risk.core.rule_types import ARMED_ACTIONS
from risk.models import AccountLock, RiskRule, RuleArming, RuleBreach
from risk.selectors import holding_breaches, rules_by_account


@dataclass(frozen=True, slots=True)
class ArmingView:
    """A rule on an account, and in `sentence` what it would do right now if it were armed."""

    rule: RiskRule
    account: ConnectedAccount
    is_armed: bool
    is_violated: bool
    sentence: str


@transaction.atomic
def arm_rule(
    *, rule: RiskRule, accounts: Iterable[ConnectedAccount], actor: User, now: datetime
) -> list[RuleArming]:
    """Let a rule reduce and close on these accounts from now on; armed ones stay as they are.

    A violation that began before only alerts and blocks. Raises Refusal for a rule that never
    sends orders, or that does not reach an account.
    """
    if rule.action not in ARMED_ACTIONS:
        raise Refusal(f"“{rule.name}” never closes anything, so it needs no arming.", code="alerts")
    rows = list(accounts)
    _refuse_strangers(rule, rows)
    RuleArming.objects.bulk_create(
        [RuleArming(rule=rule, account=row, armed_at=now, armed_by=actor) for row in rows],
        ignore_conflicts=True,
    )
    return list(rule.armings.filter(account__in=rows).select_related("account"))


@transaction.atomic
def disarm_rule(
    *, rule: RiskRule, accounts: Iterable[ConnectedAccount], actor: User, now: datetime
) -> None:
    """Take the word back: the rule only warns and blocks on these accounts.

    Raises Refusal while a violation that nobody has acknowledged, or a lock, holds one of them.
    """
    rows = list(accounts)
    refuse_while_held(rule=rule, accounts=rows, change="disarmed")
    rule.armings.filter(account__in=rows).delete()


def disarm_edited(rule: RiskRule) -> int:
    """Disarm a rule that was changed: people look at what it would do before it acts again.

    Where a violation or a lock holds it, it stays armed: to edit it is no way around that. Returns
    on how many accounts it was disarmed.
    """
    violated = holding_breaches().filter(rule_id=rule.pk).values("account_id")
    locked = AccountLock.objects.standing().filter(rule_id=rule.pk).values("account_id")
    armings = RuleArming.objects.filter(rule=rule)
    count, _ = armings.exclude(account__in=violated).exclude(account__in=locked).delete()
    return count


def arming_views(
    *,
    rules: Iterable[RiskRule] | None = None,
    account: ConnectedAccount | None = None,
    now: datetime,
) -> list[ArmingView]:
    """Show what the rules, or all rules of an account, would do right now where they reach."""
    return []


def refuse_while_held(
    *, rule: RiskRule, accounts: Collection[ConnectedAccount], change: str
) -> None:
    """Raise Refusal when a violation of the rule, or a lock by it, stands on one of the accounts.

    `change` continues "so it cannot be …".
    """
    ids = [account.pk for account in accounts]
    breach: RuleBreach | None = (
        holding_breaches().filter(rule_id=rule.pk, account_id__in=ids).first()
    )
    if breach is not None:
        raise Refusal(
            f"“{rule.name}” is violated on {breach.account_name}, so it cannot be {change} there"
            " until somebody has acknowledged that with a reason.",
            code="locked",
        )
    lock = AccountLock.objects.standing().filter(rule_id=rule.pk, account_id__in=ids).first()
    if lock is not None:
        raise Refusal(
            f"“{rule.name}” has locked {lock.account_name}, so it cannot be {change} there until"
            " the account is unlocked.",
            code="locked",
        )


def _refuse_strangers(rule: RiskRule, accounts: Collection[ConnectedAccount]) -> None:
    reached = rules_by_account(list(accounts))
    for account in accounts:
        if rule.pk not in {known.pk for known in reached[account.pk]}:
            raise Refusal(f"“{rule.name}” does not apply to {account.name}.", code="not_reached")

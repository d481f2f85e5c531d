"""What a violation holds: its rule and its account, until a person has acknowledged it.

Whoever could delete or loosen what they just violated would have no guard. An acknowledgement, with
its reason in the ledger, gives both free again; the violation itself may well stay.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from accounts.models import ConnectedAccount
from accounts.refusals import Refusal
from groups.models import AccountGroup
from risk.models import AccountLock, RiskRule, RuleArming, RuleBreach, RuleOverride, RuleState
from risk.selectors import holding_breaches

_ACTIONS = list(RiskRule.Action.values)  # from the mildest on
_LOCKED = "everything was closed on it and nobody has unlocked it"


class ViolationLock:
    """Tells `accounts` which accounts a violation holds (accounts.services.locks.AccountLock)."""

    def reasons(self, *, account_ids: Collection[UUID]) -> Mapping[UUID, str]:
        locks = AccountLock.objects.standing().filter(account_id__in=account_ids)
        held = holding_breaches().filter(account_id__in=account_ids)
        return {
            **dict.fromkeys(locks.values_list("account_id", flat=True), _LOCKED),
            **{
                breach.account_id: f"the rule “{breach.rule_name}” is {breach.state_text}"
                for breach in held.order_by("-latched_at").defer("evidence")
            },
        }


def forget_account(*, account_id: UUID, now: datetime) -> None:
    """End what rules know of an account that is deleted; what it violated stays in the ledger."""
    RuleBreach.objects.latched().filter(account_id=account_id).update(
        cleared_at=now, cleared_reason="The account was deleted."
    )
    AccountLock.objects.standing().filter(account_id=account_id).update(
        unlocked_at=now, unlocked_reason="The account was deleted."
    )
    for kept in (RuleState, RuleArming, RuleOverride):
        kept._default_manager.filter(account_id=account_id).delete()
    targets = RiskRule.accounts.through._default_manager
    targets.filter(connectedaccount_id=account_id).delete()


def disarm_departed(group: AccountGroup, account_ids: Collection[UUID]) -> None:
    """Disarm the group's rules on accounts that leave it: who comes back is asked anew."""
    RuleArming.objects.filter(rule__groups=group, account_id__in=account_ids).delete()


def departure_refusal(group: AccountGroup, account_ids: Collection[UUID]) -> str | None:
    """Say why these accounts may not leave the group: one is held, and rules reach it there."""
    if not group.risk_rules.filter(is_active=True).exists():
        return None
    held = holding_breaches().filter(account_id__in=account_ids).first()
    if held is None:
        lock = AccountLock.objects.standing().filter(account_id__in=account_ids).first()
        if lock is None:
            return None
        return (
            f"{lock.account_name} is locked, so it cannot leave the group “{group.name}” and its"
            " rules until it is unlocked."
        )
    return (
        f"{held.account_name} cannot leave the group “{group.name}” and its rules while"
        f" “{held.rule_name}” is {held.state_text}; acknowledge that with a reason first."
    )


def refuse_loosening(
    *,
    before: RiskRule,
    after: RiskRule | None,
    accounts: Iterable[ConnectedAccount] | None,
    groups: Iterable[AccountGroup] | None,
) -> None:
    """Raise Refusal when a violation holds the rule and the change would loosen it.

    `after` is None when the rule is to be deleted; `accounts` and `groups` when they stay.
    """
    held = holding_breaches().filter(rule_id=before.pk).first()
    lock = AccountLock.objects.standing().filter(rule_id=before.pk).first()
    if held is None and lock is None:
        return
    change = "deleted" if after is None else _loosening(before, after)
    if change is None and _removes_targets(before, accounts, groups):
        change = "taken off accounts or groups"
    if change is None:
        return
    if held is None and lock is not None:
        raise Refusal(
            f"The rule has locked {lock.account_name}, so it cannot be {change} until the account"
            " is unlocked. Its name and thresholds can be changed, and it can be tightened.",
            code="locked",
        )
    if held is not None:
        raise Refusal(
            f"The rule is {held.state_text} on {held.account_name}, so it cannot be {change} until"
            " somebody has acknowledged that with a reason. Its name and thresholds can be"
            " changed, and it can be tightened.",
            code="locked",
        )


def _loosening(before: RiskRule, after: RiskRule) -> str | None:
    """Say which change loosens the rule, or None; its parameters count as such in any direction."""
    is_floor = before.rule_type == RiskRule.Type.MARGIN_LEVEL
    loosenings = {
        "deactivated": before.is_active and not after.is_active,
        "given a looser limit": (
            after.limit < before.limit if is_floor else after.limit > before.limit
        ),
        "given other parameters": after.parameters != before.parameters,
        "given a milder action": _ACTIONS.index(after.action) < _ACTIONS.index(before.action),
        "given a later action": (
            after.act_at_fraction > before.act_at_fraction
            or after.act_after_seconds > before.act_after_seconds
        ),
        "made to close less": (
            after.close_fraction < before.close_fraction
            or (after.losers_only and not before.losers_only)
        ),
        "given another strategy": after.magic != before.magic,
        "turned into a rule of your own": before.is_firm_rule and not after.is_firm_rule,
        "taken off accounts or groups": (
            before.applies_to_all_accounts and not after.applies_to_all_accounts
        ),
    }
    return next((name for name, is_looser in loosenings.items() if is_looser), None)


def _removes_targets(
    rule: RiskRule,
    accounts: Iterable[ConnectedAccount] | None,
    groups: Iterable[AccountGroup] | None,
) -> bool:
    if accounts is not None:
        kept = {account.pk for account in accounts}
        if rule.accounts.exclude(pk__in=kept).exists():
            return True
    if groups is None:
        return False
    return rule.groups.exclude(pk__in={group.pk for group in groups}).exists()

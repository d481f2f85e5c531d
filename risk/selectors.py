from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import ConnectedAccount, User
from risk.models import RiskRule, RuleBreach


def rules_of(user: User) -> QuerySet[RiskRule]:
    """Return the user's rules with their targets and `is_locked`."""
    held = holding_breaches().filter(rule_id=OuterRef("pk"))
    return (
        RiskRule.objects.owned_by(user)
        .annotate(is_locked=Exists(held))
        .prefetch_related("accounts", "groups")
    )


def holding_breaches() -> QuerySet[RuleBreach]:
    """Return the violations that nobody has acknowledged: they hold their rule and account."""
    return RuleBreach.objects.latched().filter(acknowledged_at=None)


def breaches_of(user: User) -> QuerySet[RuleBreach]:
    """Return the user's violations, past and present, newest first."""
    return RuleBreach.objects.owned_by(user)


def latched_breaches(accounts: Iterable[ConnectedAccount]) -> QuerySet[RuleBreach]:
    """Return the violations in force on these accounts, newest first."""
    return RuleBreach.objects.latched().filter(account_id__in=[account.pk for account in accounts])


def rules_by_account(accounts: Sequence[ConnectedAccount]) -> dict[UUID, list[RiskRule]]:
    """Return the active rules that each account must keep, each rule once, in the rules' order.

    A rule reaches an account of its own user because it applies to all, names it, or names a group
    that it is in. Three queries, however many accounts and rules there are.
    """
    users = {account.user_id for account in accounts}
    rules = RiskRule.objects.active().filter(user__in=users)
    reached = {
        *rules.filter(accounts__user__in=users).values_list("pk", "accounts"),
        *rules.filter(groups__accounts__user__in=users).values_list("pk", "groups__accounts"),
    }
    rules_of_user: dict[int, list[RiskRule]] = {}
    for rule in rules:
        rules_of_user.setdefault(rule.user_id, []).append(rule)
    return {
        account.pk: [
            rule
            for rule in rules_of_user.get(account.user_id, ())
            if rule.applies_to_all_accounts or (rule.pk, account.pk) in reached
        ]
        for account in accounts
    }

from collections.abc import Iterable
from decimal import Decimal

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import NOW
from groups.models import AccountGroup
from risk.models import RiskRule, RuleBreach


def make_rule(
    user: User,
    name: str = "Daily loss",
    *,
    accounts: Iterable[ConnectedAccount] = (),
    groups: Iterable[AccountGroup] = (),
    **fields: object,
) -> RiskRule:
    """Create a daily loss rule of 5 %; it applies to what is given, else to all accounts."""
    accounts, groups = list(accounts), list(groups)
    defaults: dict[str, object] = {
        "rule_type": RiskRule.Type.MAX_DAILY_LOSS,
        "limit": Decimal("0.05"),
        "applies_to_all_accounts": not accounts and not groups,
    }
    rule = RiskRule.objects.create(user=user, name=name, **{**defaults, **fields})
    rule.accounts.set(accounts)
    rule.groups.set(groups)
    return rule


def make_breach(rule: RiskRule, account: ConnectedAccount, **fields: object) -> RuleBreach:
    """Create the latch of this rule and account."""
    defaults: dict[str, object] = {
        "observed": 5012.5,
        "limit": 5000.0,
        "floor": 95_000.0,
        "unit": account.currency,
        "message": f"{account.name}: lost 5,012.50 USD of 5,000.00 today",
        "latched_at": NOW,
    }
    return RuleBreach.objects.create(
        user_id=rule.user_id,
        rule_id=rule.pk,
        account_id=account.pk,
        rule_name=rule.name,
        rule_type=rule.rule_type,
        account_name=account.name,
        **{**defaults, **fields},
    )

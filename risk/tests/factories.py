from collections.abc import Iterable
from decimal import Decimal
from itertools import count

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import NOW
from groups.models import AccountGroup
from risk.models import (
    AccountLock,
    Enforcement,
    GateCheck,
    GroupTemplate,
    Order,
    RiskRule,
    RuleBreach,
    RulePreset,
)

_tags = count(0x5447 << 38)

STORED_RULE = {"name": "Size", "rule_type": "MAX_POSITION_SIZE", "limit": "2"}


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


def make_preset(user: User, name: str = "Preset") -> RulePreset:
    return RulePreset.objects.create(user=user, name=name, rules=[STORED_RULE])


def make_template(user: User, name: str = "Template") -> GroupTemplate:
    return GroupTemplate.objects.create(user=user, name=name, rules=[STORED_RULE], tags=["eval"])


def make_order(account: ConnectedAccount, **fields: object) -> Order:
    """Create an order that was filled: 0.1 lots of EURUSD bought by its ticket."""
    defaults: dict[str, object] = {
        "tag": next(_tags),
        "kind": Order.Kind.OPEN,
        "origin": Order.Origin.TICKET,
        "symbol": "EURUSD",
        "direction": Order.Direction.BUY,
        "requested_volume": Decimal("0.1"),
        "volume": Decimal("0.1"),
        "state": Order.State.FILLED,
        "created_at": NOW,
        "requested_by_id": account.user_id,
    }
    return Order.objects.create(
        user_id=account.user_id,
        account_id=account.pk,
        account_name=account.name,
        host=account.terminal_host_id,
        server=account.server,
        login=account.login,
        **{**defaults, **fields},
    )


def make_check(order: Order, **fields: object) -> GateCheck:
    defaults: dict[str, object] = {
        "number": 0,
        "check_name": "reading",
        "verdict": GateCheck.Verdict.ALLOW,
        "sentence": "The reading is fresh.",
        "created_at": NOW,
    }
    return GateCheck.objects.create(order_id=order.pk, **{**defaults, **fields})


def make_run(account: ConnectedAccount, **fields: object) -> Enforcement:
    """Create a run that closed everything because somebody asked for it, and is done."""
    defaults: dict[str, object] = {
        "cause": Enforcement.Cause.PANIC,
        "action": Enforcement.Action.CLOSE_ALL,
        "reason": "Going home.",
        "stage": Enforcement.Stage.DONE,
        "triggered_at": NOW,
        "created_at": NOW,
        "finished_at": NOW,
    }
    return Enforcement.objects.create(
        user_id=account.user_id,
        account_id=account.pk,
        account_name=account.name,
        host=account.terminal_host_id,
        **{**defaults, **fields},
    )


def make_lock(account: ConnectedAccount, **fields: object) -> AccountLock:
    defaults: dict[str, object] = {
        "cause": Enforcement.Cause.PANIC,
        "reason": "Going home.",
        "locked_at": NOW,
    }
    return AccountLock.objects.create(
        user_id=account.user_id,
        account_id=account.pk,
        account_name=account.name,
        **{**defaults, **fields},
    )

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.models import ConnectedAccount, User
from groups.models import AccountGroup
from risk.core.rule_types import LOSS_RULES
from risk.models import RiskRule, RuleBreach, RuleState
from risk.services.arming import disarm_edited
from risk.services.cutoff import refuse_changing_cutoff
from risk.services.locks import refuse_loosening
from risk.services.overrides import check_overrides
from risk.services.rule_checks import check_rule, check_targets

# Whoever armed the rule saw what it would do with these as they were. An inactive rule watches
# nothing: what it would do when it is active again, nobody has seen.
_ARMED_FIELDS: Final = (
    "limit",
    "parameters",
    "magic",
    "action",
    "act_at_fraction",
    "act_after_seconds",
    "closing_order",
    "losers_only",
    "close_fraction",
    "is_active",
    "applies_to_all_accounts",
)


class RuleChanges(TypedDict, total=False):
    name: str
    rule_type: str
    limit: Decimal
    parameters: Mapping[str, object]
    action: str
    caution: Decimal
    critical: Decimal
    magic: int | None
    act_at_fraction: Decimal
    act_after_seconds: Decimal
    closing_order: str
    losers_only: bool
    close_fraction: Decimal
    is_active: bool
    is_firm_rule: bool
    applies_to_all_accounts: bool
    accounts: Iterable[ConnectedAccount]
    groups: Iterable[AccountGroup]


@transaction.atomic
def create_rule(*, user: User, **fields: Unpack[RuleChanges]) -> RiskRule:
    """Create a rule of this user; what it would do to an account stays disarmed.

    Raises ValidationError with the fields named; what is wrong in the parameters is named as in
    "parameters.reset_zone".
    """
    accounts, groups = list(fields.pop("accounts", ())), list(fields.pop("groups", ()))
    rule = RiskRule(user=user, **fields)
    _keep_firms_floor(rule)
    check_rule(rule)
    check_targets(rule, accounts, groups)
    rule.save(force_insert=True)
    rule.accounts.set(accounts)
    rule.groups.set(groups)
    return rule


@transaction.atomic
def update_rule(*, rule: RiskRule, **changes: Unpack[RuleChanges]) -> RiskRule:
    """Change a rule and return it as it is now; its type stays what it was.

    What changes its limit, its action or whom it reaches, or wakes it, disarms it, until somebody
    has seen what it would do now. Raises Refusal when a violation that nobody acknowledged holds
    the rule and the change would loosen it, or when the margin cut-off would become something
    else; ValidationError with the fields named.
    """
    rule = RiskRule.objects.select_for_update().get(pk=rule.pk)
    if changes.get("rule_type", rule.rule_type) != rule.rule_type:
        raise ValidationError(
            {"rule_type": "A rule keeps its type; create another rule for another type."}
        )
    accounts, groups = _listed(changes.pop("accounts", None)), _listed(changes.pop("groups", None))
    has_other_targets = _differ(rule.accounts, accounts) or _differ(rule.groups, groups)
    refuse_changing_cutoff(rule=rule, changes=changes, targets=has_other_targets)
    before = RiskRule.objects.get(pk=rule.pk)
    for name, value in changes.items():
        setattr(rule, name, value)
    check_rule(rule)
    check_targets(rule, accounts, groups)
    check_overrides(rule)
    refuse_loosening(before=before, after=rule, accounts=accounts, groups=groups)
    rule.save(update_fields=[*changes, "updated_at"])
    if accounts is not None:
        rule.accounts.set(accounts)
    if groups is not None:
        rule.groups.set(groups)
    _drop_overrides_beyond_reach(rule)
    rule.refresh_from_db()
    if has_other_targets or any(
        getattr(before, name) != getattr(rule, name) for name in _ARMED_FIELDS
    ):
        disarm_edited(rule)
    if before.magic != rule.magic:
        # What was counted is another strategy's: the rule begins anew, as on a new account.
        RuleState.objects.filter(rule=rule).delete()
    return rule


@transaction.atomic
def delete_rule(*, rule: RiskRule, now: datetime | None = None) -> None:
    """Delete a rule; its breaches stay in the ledger, an open one ends with it.

    Raises Refusal while a violation that nobody acknowledged holds the rule, and for the margin
    cut-off.
    """
    rule = RiskRule.objects.select_for_update().get(pk=rule.pk)
    refuse_changing_cutoff(rule=rule, changes=None)
    refuse_loosening(before=rule, after=None, accounts=None, groups=None)
    RuleBreach.objects.latched().filter(rule_id=rule.pk).update(
        cleared_at=now or timezone.now(), cleared_reason="The rule was deleted."
    )
    rule.delete()


def _keep_firms_floor(rule: RiskRule) -> None:
    """Let withdrawals move no floor of a firm's rule, unless the rule says that they do."""
    if rule.is_firm_rule and rule.rule_type in LOSS_RULES and isinstance(rule.parameters, dict):
        rule.parameters = {"withdrawals_move_floor": False, **rule.parameters}


def _listed(rows: Iterable[Any] | None) -> list[Any] | None:
    return None if rows is None else list(rows)


def _differ(stored: Any, wanted: Sequence[Any] | None) -> bool:
    if wanted is None:
        return False
    return set(stored.values_list("pk", flat=True)) != {row.pk for row in wanted}


def _drop_overrides_beyond_reach(rule: RiskRule) -> None:
    """Drop how the rule differs on accounts that it does not reach any more."""
    if not rule.applies_to_all_accounts:
        rule.overrides.exclude(account__risk_rules=rule).exclude(
            account__groups__risk_rules=rule
        ).delete()

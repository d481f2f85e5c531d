from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.models import ConnectedAccount, User
from groups.models import AccountGroup
from risk.core.parameters import ParameterErrors, parse_parameters
from risk.core.rule_types import RuleType
from risk.models import RiskRule, RuleBreach
from risk.services.locks import refuse_loosening

# Names that belong to the rule itself; a client names every other one "parameters.<name>".
OWN_FIELDS = frozenset({"limit", "caution", "critical"})


class RuleChanges(TypedDict, total=False):
    name: str
    rule_type: str
    limit: Decimal
    parameters: Mapping[str, object]
    action: str
    caution: Decimal
    critical: Decimal
    is_active: bool
    is_firm_rule: bool
    applies_to_all_accounts: bool
    accounts: Iterable[ConnectedAccount]
    groups: Iterable[AccountGroup]


@transaction.atomic
def create_rule(*, user: User, **fields: Unpack[RuleChanges]) -> RiskRule:
    """Create a rule of this user; raises ValidationError with the fields named.

    What is wrong in the parameters is named as in "parameters.reset_zone".
    """
    accounts, groups = list(fields.pop("accounts", ())), list(fields.pop("groups", ()))
    rule = RiskRule(user=user, **fields)
    _check(rule)
    _check_targets(rule, accounts, groups)
    rule.save(force_insert=True)
    rule.accounts.set(accounts)
    rule.groups.set(groups)
    return rule


@transaction.atomic
def update_rule(*, rule: RiskRule, **changes: Unpack[RuleChanges]) -> RiskRule:
    """Change a rule and return it as it is now; its type stays what it was.

    Raises Refusal when a violation that nobody acknowledged holds the rule and the change would
    loosen it, ValidationError with the fields named.
    """
    rule = RiskRule.objects.select_for_update().get(pk=rule.pk)
    if changes.get("rule_type", rule.rule_type) != rule.rule_type:
        raise ValidationError(
            {"rule_type": "A rule keeps its type; create another rule for another type."}
        )
    accounts, groups = _listed(changes.pop("accounts", None)), _listed(changes.pop("groups", None))
    before = RiskRule.objects.get(pk=rule.pk)
    for name, value in changes.items():
        setattr(rule, name, value)
    _check(rule)
    _check_targets(rule, accounts or (), groups or ())
    refuse_loosening(before=before, after=rule, accounts=accounts, groups=groups)
    rule.save(update_fields=[*changes, "updated_at"])
    if accounts is not None:
        rule.accounts.set(accounts)
    if groups is not None:
        rule.groups.set(groups)
    return rule


@transaction.atomic
def delete_rule(*, rule: RiskRule, now: datetime | None = None) -> None:
    """Delete a rule; its breaches stay in the ledger, an open one ends with it.

    Raises Refusal while a violation that nobody acknowledged holds the rule.
    """
    rule = RiskRule.objects.select_for_update().get(pk=rule.pk)
    refuse_loosening(before=rule, after=None, accounts=None, groups=None)
    RuleBreach.objects.latched().filter(rule_id=rule.pk).update(
        cleared_at=now or timezone.now(), cleared_reason="The rule was deleted."
    )
    rule.delete()


def _listed(rows: Iterable[Any] | None) -> list[Any] | None:
    return None if rows is None else list(rows)


def _check(rule: RiskRule) -> None:
    errors = _parameter_errors(rule)
    try:
        # RiskRule.clean reads the parameters too, for forms, with its own names for the fields.
        rule.clean_fields(exclude=["user"])
    except ValidationError as error:
        errors = {**errors, **error.error_dict}
    if errors:
        raise ValidationError(errors)


def _parameter_errors(rule: RiskRule) -> dict[str, Any]:
    if rule.rule_type not in RiskRule.Type.values:
        return {}
    if not isinstance(rule.parameters, dict):
        return {"parameters": "Give an object of names and values."}
    symbols = rule.parameters.get("symbols")
    if isinstance(symbols, list) and not all(str(symbol).isprintable() for symbol in symbols):
        # PostgreSQL refuses a NUL in JSON, and no broker has such a symbol.
        return {"parameters.symbols": "Symbols are made of printable characters."}
    own = sorted(OWN_FIELDS & rule.parameters.keys())
    if own:
        return {f"parameters.{name}": "This belongs to the rule itself." for name in own}
    thresholds = {"caution": rule.caution, "critical": rule.critical}
    try:
        parse_parameters(RuleType(rule.rule_type), rule.limit, {**rule.parameters, **thresholds})
    except ParameterErrors as errors:
        return {
            name if name in OWN_FIELDS else f"parameters.{name}": text
            for name, text in errors.fields.items()
        }
    return {}


def _check_targets(
    rule: RiskRule, accounts: Iterable[ConnectedAccount], groups: Iterable[AccountGroup]
) -> None:
    errors = {}
    if any(account.user_id != rule.user_id for account in accounts):
        errors["accounts"] = "not found"
    if any(group.user_id != rule.user_id for group in groups):
        errors["groups"] = "not found"
    if errors:
        raise ValidationError(errors)

"""What makes a rule of a user wrong, by the field that is to be changed."""

from collections.abc import Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError

from accounts.models import ConnectedAccount
from groups.models import AccountGroup
from risk.core.parameters import ParameterErrors, parse_parameters
from risk.core.rule_types import Action, RuleType, allowed_actions
from risk.models import RiskRule
from risk.presets.terms import action_sentence

# Names that belong to the rule itself; a client names every other one "parameters.<name>".
OWN_FIELDS: Final = frozenset({"limit", "caution", "critical", "magic"})


def check_rule(rule: RiskRule) -> None:
    """Raise ValidationError with every field named that is wrong in the rule itself."""
    errors = rule_errors(rule)
    try:
        # RiskRule.clean reads the parameters too, for forms, with its own names for the fields.
        rule.clean_fields(exclude=["user"])
    except ValidationError as error:
        errors = {**errors, **error.error_dict}
    if errors:
        raise ValidationError(errors)


def rule_errors(rule: RiskRule) -> dict[str, Any]:
    """Return what is wrong with the limit, parameters and action; one sentence for each field."""
    if rule.rule_type not in RiskRule.Type.values:
        return {}
    return {**_parameter_errors(rule), **_action_errors(rule)}


def check_targets(
    rule: RiskRule,
    accounts: Sequence[ConnectedAccount] | None,
    groups: Sequence[AccountGroup] | None,
) -> None:
    """Check whom a rule applies to; None stands for those that it has already."""
    errors = {}
    if any(account.user_id != rule.user_id for account in accounts or ()):
        errors["accounts"] = "not found"
    if any(group.user_id != rule.user_id for group in groups or ()):
        errors["groups"] = "not found"
    if rule.rule_type == RiskRule.Type.NO_CROSS_HEDGING and not errors:
        is_stored = not rule._state.adding
        named = rule.accounts.exists() if accounts is None and is_stored else bool(accounts)
        grouped = rule.groups.exists() if groups is None and is_stored else bool(groups)
        if named:
            errors["accounts"] = "This rule looks across accounts: choose groups, or all accounts."
        elif not grouped and not rule.applies_to_all_accounts:
            errors["groups"] = "This rule looks across accounts: choose a group, or all accounts."
    if errors:
        raise ValidationError(errors)


def _parameter_errors(rule: RiskRule) -> dict[str, Any]:
    if not isinstance(rule.parameters, dict):
        return {"parameters": "Give an object of names and values."}
    symbols = rule.parameters.get("symbols")
    if isinstance(symbols, list) and not all(str(symbol).isprintable() for symbol in symbols):
        # PostgreSQL refuses a NUL in JSON, and no broker has such a symbol.
        return {"parameters.symbols": "Symbols are made of printable characters."}
    own = sorted(OWN_FIELDS & rule.parameters.keys())
    if own:
        return {f"parameters.{name}": "This belongs to the rule itself." for name in own}
    outer = {"caution": rule.caution, "critical": rule.critical, "magic": rule.magic}
    try:
        parse_parameters(RuleType(rule.rule_type), rule.limit, {**rule.parameters, **outer})
    except ParameterErrors as errors:
        return {
            name if name in OWN_FIELDS else f"parameters.{name}": text
            for name, text in errors.fields.items()
        }
    return {}


def _action_errors(rule: RiskRule) -> dict[str, Any]:
    rule_type = RuleType(rule.rule_type)
    if rule.action not in RiskRule.Action.values or Action(rule.action) in allowed_actions(
        rule_type
    ):
        return {}
    return {"action": action_sentence(rule_type)}

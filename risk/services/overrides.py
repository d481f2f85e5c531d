"""How a shared rule differs on single accounts; the rule itself stays as it is."""

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import ConnectedAccount, User
from groups.models import Membership
from risk.models import RiskRule, RuleOverride
from risk.services.arming import refuse_while_held
from risk.services.rule_checks import rule_errors

_VALUES = ("limit", "caution", "critical", "action")


class OverrideFields(TypedDict, total=False):
    is_excluded: bool
    limit: Decimal | None
    parameters: Mapping[str, object] | None
    caution: Decimal | None
    critical: Decimal | None
    action: str


@transaction.atomic
def set_override(
    *, rule: RiskRule, account: ConnectedAccount, actor: User, **fields: Unpack[OverrideFields]
) -> RuleOverride:
    """Let a rule differ on one account; fields that are not given are as in the rule.

    `parameters` holds those that differ. Raises ValidationError with the fields named, and Refusal
    while a violation that nobody acknowledged holds the rule on this account.
    """
    rule = RiskRule.objects.select_for_update().get(pk=rule.pk)
    _check_target(rule, account, actor)
    before = RuleOverride.objects.filter(rule=rule, account=account).first()
    after = RuleOverride(rule=rule, account=account, **fields)
    if after.parameters is not None and not after.parameters:
        after.parameters = None
    _check(rule, after)
    refuse_while_held(rule=rule, accounts=[account], change="changed")
    values = {name: getattr(after, name) for name in ("is_excluded", "parameters", *_VALUES)}
    if before is None:
        after.save(force_insert=True)
    else:
        after = before
        for name, value in values.items():
            setattr(after, name, value)
        after.save(update_fields=[*values, "updated_at"])
    _announce(rule, account)
    return after


@transaction.atomic
def clear_override(*, rule: RiskRule, account: ConnectedAccount, actor: User) -> None:
    """Let the rule be on the account what it is on others; nothing happens when it is.

    Raises Refusal while a violation that nobody acknowledged holds the rule on this account.
    """
    rule = RiskRule.objects.select_for_update().get(pk=rule.pk)
    if rule.user_id != actor.pk and not actor.is_staff:
        raise ValidationError({"account": "not found"})
    override = RuleOverride.objects.filter(rule=rule, account=account).first()
    if override is None:
        return
    refuse_while_held(rule=rule, accounts=[account], change="changed")
    override.delete()
    _announce(rule, account)


def effective_rule(rule: RiskRule, override: RuleOverride | None) -> RiskRule:
    """Return the rule as it is on the account of the override; not to be saved."""
    merged = copy.copy(rule)
    if override is None:
        return merged
    for name in _VALUES:
        value = getattr(override, name)
        if value not in (None, ""):
            setattr(merged, name, value)
    merged.parameters = {**rule.parameters, **(override.parameters or {})}
    return merged


def override_sentence(rule: RiskRule, override: RuleOverride) -> str:
    """Say what an override changes, for lists."""
    if override.is_excluded:
        return "left out"
    parts = [
        f"{name} {value:f}"
        for name in ("limit", "caution", "critical")
        if (value := getattr(override, name)) is not None
    ]
    if override.action and override.action != rule.action:
        parts.append(override.get_action_display().lower())
    parts += [f"{name} {value}" for name, value in (override.parameters or {}).items()]
    return ", ".join(parts) or "the same"


def check_overrides(rule: RiskRule) -> None:
    """Check that a rule that was changed still makes sense where accounts differ from it."""
    for override in rule.overrides.select_related("account"):
        errors = rule_errors(effective_rule(rule, override))
        if errors:
            name, text = next(iter(errors.items()))
            raise ValidationError(
                {name: f"On {override.account.name}, where the rule differs: {text}"}
            )


def reaches(rule: RiskRule, account: ConnectedAccount) -> bool:
    """Tell whether a rule applies to an account of its user."""
    if account.user_id != rule.user_id:
        return False
    if rule.applies_to_all_accounts or rule.accounts.filter(pk=account.pk).exists():
        return True
    return Membership.objects.filter(group__risk_rules=rule, account=account).exists()


def _check_target(rule: RiskRule, account: ConnectedAccount, actor: User) -> None:
    is_own = rule.user_id == actor.pk or actor.is_staff
    if not is_own or account.user_id != rule.user_id:
        raise ValidationError({"account": "not found"})
    if not reaches(rule, account):
        raise ValidationError({"account": f"The rule does not apply to {account.name}."})


def _check(rule: RiskRule, override: RuleOverride) -> None:
    errors: dict[str, Any] = {}
    try:
        override.clean_fields(exclude=["rule", "account"])
    except ValidationError as error:
        errors = dict(error.error_dict)
    if override.parameters is not None and not isinstance(override.parameters, dict):
        errors.setdefault("parameters", "Give an object of names and values.")
    if rule.is_cutoff:
        if override.is_excluded:
            errors["is_excluded"] = "The margin cut-off protects every account."
        for name in ("parameters", "action"):
            if getattr(override, name):
                errors[name] = "Only the levels of the margin cut-off can differ."
    if not errors:
        errors = rule_errors(effective_rule(rule, override))
    if errors:
        raise ValidationError(errors)


def _announce(rule: RiskRule, account: ConnectedAccount) -> None:
    """Let the hosts see that the rule is another one now; people arm it there again."""
    rule.armings.filter(account=account).delete()
    rule.save(update_fields=["updated_at"])

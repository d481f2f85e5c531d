from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms

from accounts.forms.base import ServiceForm
from risk.core.rule_types import Action, RuleType, allowed_actions
from risk.field_types import PercentField, plain
from risk.forms.rule import is_share, shown_limit
from risk.models import RiskRule, RuleOverride
from risk.parameter_fields import FIXED_LIMITS, LIMITS


class OverrideForm(forms.Form, ServiceForm):
    """How a rule differs on one account; what is left empty is as in the rule."""

    is_excluded = forms.BooleanField(
        required=False,
        label="Left out",
        help_text="The rule does not apply to this account at all.",
    )
    limit = forms.DecimalField(
        required=False,
        max_digits=18,
        decimal_places=4,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    caution = PercentField(
        required=False,
        max_digits=4,
        decimal_places=1,
        min_value=Decimal(0),
        max_value=Decimal("99.9"),
    )
    critical = PercentField(
        required=False,
        max_digits=4,
        decimal_places=1,
        min_value=Decimal(0),
        max_value=Decimal("99.9"),
    )
    action = forms.ChoiceField(required=False, label="When it is violated")

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        rule: RiskRule,
        override: RuleOverride | None,
    ) -> None:
        super().__init__(data, initial=_initial(rule, override))
        self.rule, self.override = rule, override
        shown = LIMITS[rule.rule_type]
        self.fields["limit"].label = shown.label
        if rule.is_cutoff:
            del self.fields["is_excluded"], self.fields["action"]
        if rule.rule_type in FIXED_LIMITS:
            del self.fields["limit"]
        for name, text in self._texts_of_the_rule().items():
            if name in self.fields:
                self.fields[name].help_text = f"The rule has {text}."
        self._shape_actions()

    @property
    def unit(self) -> str:
        return "%" if self._is_share() else LIMITS[self.rule.rule_type].unit

    def _is_share(self) -> bool:
        return is_share(self.rule.rule_type, self.rule.parameters)

    def _texts_of_the_rule(self) -> dict[str, str]:
        rule = self.rule
        limit = shown_limit(rule.rule_type, rule.limit, rule.parameters)
        return {
            "limit": f"{limit} {self.unit}".rstrip(),
            "caution": f"{plain(rule.caution * 100)} %",
            "critical": f"{plain(rule.critical * 100)} %",
        }

    def _shape_actions(self) -> None:
        field = self.fields.get("action")
        if isinstance(field, forms.ChoiceField):
            allowed = set(allowed_actions(RuleType(self.rule.rule_type)))
            named = [each for each in RiskRule.Action.choices if Action(each[0]) in allowed]
            field.choices = [("", f"As in the rule: {self.rule.get_action_display()}"), *named]

    def clean_limit(self) -> Decimal | None:
        limit: Decimal | None = self.cleaned_data["limit"]
        if limit is None:
            return None
        if limit <= 0:
            raise forms.ValidationError("The limit must be more than 0.")
        if self._is_share():
            if limit > 100:
                raise forms.ValidationError("A share is at most 100 %.")
            return limit / 100
        return limit

    def changes(self) -> dict[str, Any]:
        """Return what the service needs; parameters that differ already stay as they are."""
        parameters = self.override.parameters if self.override else None
        return {**self.cleaned_data, "parameters": parameters}


def _initial(rule: RiskRule, override: RuleOverride | None) -> dict[str, Any]:
    if override is None:
        return {}
    limit = override.limit
    return {
        "is_excluded": override.is_excluded,
        "limit": limit and shown_limit(rule.rule_type, limit, rule.parameters),
        "caution": override.caution,
        "critical": override.critical,
        "action": override.action,
    }

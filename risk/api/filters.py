from datetime import UTC
from typing import Any

from django.forms import ValidationError
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField

from risk.models import RiskRule, RuleBreach


class InstantField(IsoDateTimeField):  # type: ignore[misc]  # the package has no types
    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        try:
            return None if moment is None else moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError("Enter a moment that lies in this era.") from None


class InstantFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]  # the package has no types
    field_class = InstantField


class RuleFilter(filters.FilterSet):  # type: ignore[misc]  # the package has no types
    account = filters.UUIDFilter(field_name="accounts")
    group = filters.UUIDFilter(field_name="groups")

    class Meta:
        model = RiskRule
        fields = ["rule_type", "action", "is_active", "is_firm_rule", "applies_to_all_accounts"]


class BreachFilter(filters.FilterSet):  # type: ignore[misc]  # the package has no types
    rule_type = filters.ChoiceFilter(choices=RiskRule.Type.choices)
    latched = filters.BooleanFilter(field_name="cleared_at", lookup_expr="isnull")
    acknowledged = filters.BooleanFilter(
        field_name="acknowledged_at", lookup_expr="isnull", exclude=True
    )
    since = InstantFilter(field_name="latched_at", lookup_expr="gte")

    class Meta:
        model = RuleBreach
        fields = ["rule_id", "account_id"]

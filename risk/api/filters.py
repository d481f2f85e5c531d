from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from django.forms import ValidationError
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField

from risk.models import RiskRule, RuleBreach


class InstantField(IsoDateTimeField):
    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        try:
            return None if moment is None else moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError("Enter a moment that lies in this era.") from None


class InstantFilter(filters.IsoDateTimeFilter):
    field_class = InstantField


class RuleFilter(filters.FilterSet):
    account = filters.UUIDFilter(method="naming_account")
    group = filters.UUIDFilter(method="naming_group")

    class Meta:
        model = RiskRule
        fields = ["rule_type", "action", "is_active", "is_firm_rule", "applies_to_all_accounts"]

    def naming_account(
        self, rules: QuerySet[RiskRule], _name: str, value: str
    ) -> QuerySet[RiskRule]:
        return rules.filter(accounts=value)

    def naming_group(self, rules: QuerySet[RiskRule], _name: str, value: str) -> QuerySet[RiskRule]:
        return rules.filter(groups=value)


class BreachFilter(filters.FilterSet):
    rule_type = filters.ChoiceFilter(choices=RiskRule.Type.choices)
    latched = filters.BooleanFilter(field_name="cleared_at", lookup_expr="isnull")
    acknowledged = filters.BooleanFilter(
        field_name="acknowledged_at", lookup_expr="isnull", exclude=True
    )
    since = InstantFilter(field_name="latched_at", lookup_expr="gte")

    class Meta:
        model = RuleBreach
        fields = ["rule_id", "account_id"]

from django_filters import rest_framework as filters

from accounts.api.query import InstantFilter, QueryFilterSet, TruthFilter
from risk.models import RiskRule, RuleBreach


class RuleFilter(QueryFilterSet):
    account = filters.UUIDFilter(field_name="accounts")
    group = filters.UUIDFilter(field_name="groups")

    class Meta:
        model = RiskRule
        fields = ["rule_type", "action", "is_active", "is_firm_rule", "applies_to_all_accounts"]


class BreachFilter(QueryFilterSet):
    rule_type = filters.ChoiceFilter(choices=RiskRule.Type.choices)
    latched = TruthFilter(field_name="cleared_at", lookup_expr="isnull")
    acknowledged = TruthFilter(field_name="acknowledged_at", lookup_expr="isnull", exclude=True)
    since = InstantFilter(field_name="latched_at", lookup_expr="gte")

    class Meta:
        model = RuleBreach
        fields = ["rule_id", "account_id"]

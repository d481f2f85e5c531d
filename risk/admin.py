from typing import Any

from django import forms
from django.contrib import admin

from accounts.admin.bases import LedgerAdmin, RehearsedForm, ServiceAdmin
from risk.models import RiskRule, RuleBreach, RuleState
from risk.services.rules import create_rule, delete_rule, update_rule


class RuleForm(RehearsedForm[RiskRule]):
    class Meta:
        model = RiskRule
        fields = [
            "user",
            "name",
            "rule_type",
            "limit",
            "parameters",
            "action",
            "caution",
            "critical",
            "is_active",
            "is_firm_rule",
            "applies_to_all_accounts",
            "accounts",
            "groups",
        ]
        help_texts = {
            "limit": "In the unit of the rule type: a fraction or money, percent, lots, a count.",
            "parameters": 'An object, for example {"reference": "equity", "reset_time": "17:00"}.',
        }

    def clean_parameters(self) -> dict[str, object]:
        parameters = self.cleaned_data["parameters"] or {}
        if not isinstance(parameters, dict):
            raise forms.ValidationError("Give an object of names and values.", code="invalid")
        return parameters

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        caution, critical = cleaned.get("caution"), cleaned.get("critical")
        if caution is not None and critical is not None and critical > caution:
            self.add_error("critical", "Critical must not begin before caution does.")
        user_id = cleaned["user"].pk if cleaned.get("user") else self.instance.user_id
        if user_id is not None:
            for name in ("accounts", "groups"):
                if any(row.user_id != user_id for row in cleaned.get(name, ())):
                    self.add_error(name, f"Choose {name} of the rule's user.")
        return cleaned

    def perform(self) -> RiskRule:
        if self.instance._state.adding:
            return create_rule(**self.cleaned_data)
        return update_rule(rule=self.instance, **self.cleaned_data)


@admin.register(RiskRule)
class RiskRuleAdmin(ServiceAdmin[RiskRule]):
    form = RuleForm
    list_display = [
        "name",
        "user",
        "rule_type",
        "limit",
        "action",
        "is_active",
        "breach_count",
        "last_breach_at",
    ]
    list_select_related = ["user"]
    list_filter = ["rule_type", "action", "is_active", "is_firm_rule", "applies_to_all_accounts"]
    search_fields = ["name", "user__username", "user__email"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["user", "accounts", "groups"]
    readonly_fields = ["breach_count", "last_breach_at", "created_at", "updated_at"]
    readonly_on_change = ("user", "rule_type")
    fieldsets = [
        (None, {"fields": ["user", "name", "is_active", "is_firm_rule"]}),
        ("Limit", {"fields": ["rule_type", "limit", "parameters", "caution", "critical"]}),
        ("When it is broken", {"fields": ["action"]}),
        ("Applies to", {"fields": ["applies_to_all_accounts", "accounts", "groups"]}),
        ("Record", {"fields": ["breach_count", "last_breach_at", "created_at", "updated_at"]}),
    ]

    def delete_with_service(self, obj: RiskRule) -> None:
        delete_rule(rule=obj)


@admin.register(RuleBreach)
class RuleBreachAdmin(LedgerAdmin[RuleBreach]):
    list_display = [
        "latched_at",
        "message",
        "rule_name",
        "account_name",
        "acknowledged_at",
        "cleared_at",
    ]
    list_filter = [
        "rule_type",
        ("acknowledged_at", admin.EmptyFieldListFilter),
        ("cleared_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["message", "rule_name", "account_name"]
    date_hierarchy = "latched_at"
    fieldsets = [
        (
            "Violation",
            {"fields": ["message", "rule_name", "rule_type", "account_name", "latched_at"]},
        ),
        ("Evidence", {"fields": ["observed", "limit", "floor", "unit"]}),
        (
            "Acknowledged",
            {"fields": ["acknowledged_at", "acknowledged_by_id", "acknowledged_reason"]},
        ),
        ("Cleared", {"fields": ["cleared_at", "cleared_by_id", "cleared_reason"]}),
        ("Numbers", {"fields": ["id", "user_id", "rule_id", "account_id"]}),
    ]


@admin.register(RuleState)
class RuleStateAdmin(LedgerAdmin[RuleState]):
    list_display = [
        "rule",
        "account",
        "day_started_at",
        "day_balance",
        "day_equity",
        "peak",
        "is_reconstructed",
        "updated_at",
    ]
    list_select_related = ["rule", "account"]
    list_filter = ["is_reconstructed", "rule__rule_type"]
    search_fields = ["rule__name", "account__name"]

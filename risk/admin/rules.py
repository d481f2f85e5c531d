from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin.bases import LedgerAdmin, RehearsedForm, ServiceAdmin, rehearse
from accounts.admin.generic import InlineFormSet, TabularInline
from accounts.refusals import Refusal
from risk.models import RiskRule, RuleArming, RuleOverride
from risk.services.overrides import clear_override, set_override
from risk.services.rules import create_rule, delete_rule, update_rule

_OVERRIDDEN = ("is_excluded", "limit", "parameters", "caution", "critical", "action")


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
            "magic",
            "act_at_fraction",
            "act_after_seconds",
            "closing_order",
            "losers_only",
            "close_fraction",
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


class OverrideFormSet(InlineFormSet[RuleOverride, RiskRule, Any]):
    """Rules differ through the service, which also says where they may not."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        for form in self.forms:
            is_leaving = form in self.deleted_forms
            if is_leaving and form.instance.pk:
                self._rehearse(form, lambda form=form: self._clear(form.instance))
            elif form.has_changed() and not is_leaving:
                self._rehearse(form, lambda form=form: self._set(form))

    def _rehearse(self, form: Any, change: Any) -> None:
        try:
            rehearse(change)
        except Refusal as refusal:
            raise ValidationError(refusal.sentence) from refusal
        except ValidationError as error:
            for name, texts in error.message_dict.items():
                field = name.partition(".")[0]
                form.add_error(field if field in form.fields else None, texts)

    def _set(self, form: Any) -> RuleOverride:
        given = {name: form.cleaned_data[name] for name in _OVERRIDDEN}
        given["parameters"] = given["parameters"] or None
        account, rule = form.cleaned_data["account"], self.instance
        return set_override(rule=rule, account=account, actor=rule.user, **given)

    def _clear(self, override: RuleOverride) -> None:
        clear_override(rule=self.instance, account=override.account, actor=self.instance.user)

    def save_new(self, form: Any, *_: object, **__: object) -> RuleOverride:
        return self._set(form)

    def save_existing(self, form: Any, *_: object, **__: object) -> RuleOverride:
        return self._set(form)

    def delete_existing(self, obj: RuleOverride, *_: object, **__: object) -> None:
        self._clear(obj)


class OverrideInline(TabularInline[RuleOverride, RiskRule]):
    model = RuleOverride
    formset = OverrideFormSet
    extra = 1
    fields = ["account", *_OVERRIDDEN]
    autocomplete_fields = ["account"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RuleOverride]:
        return super().get_queryset(request).select_related("account", "rule")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return list(super().get_readonly_fields(request, obj))


@admin.register(RiskRule)
class RiskRuleAdmin(ServiceAdmin[RiskRule]):
    form = RuleForm
    inlines = [OverrideInline]
    list_display = [
        "name",
        "user",
        "rule_type",
        "limit",
        "action",
        "magic",
        "is_active",
        "breach_count",
        "last_breach_at",
    ]
    list_select_related = ["user"]
    list_filter = [
        "rule_type",
        "action",
        "is_active",
        "is_firm_rule",
        "is_cutoff",
        "applies_to_all_accounts",
    ]
    search_fields = ["name", "user__username", "user__email"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["user", "accounts", "groups"]
    readonly_fields = ["is_cutoff", "breach_count", "last_breach_at", "created_at", "updated_at"]
    readonly_on_change = ("user", "rule_type")
    fieldsets = [
        (None, {"fields": ["user", "name", "is_active", "is_firm_rule", "is_cutoff"]}),
        ("Limit", {"fields": ["rule_type", "limit", "parameters", "magic", "caution", "critical"]}),
        (
            "When it is broken",
            {
                "fields": [
                    "action",
                    "act_at_fraction",
                    "act_after_seconds",
                    "closing_order",
                    "losers_only",
                    "close_fraction",
                ]
            },
        ),
        ("Applies to", {"fields": ["applies_to_all_accounts", "accounts", "groups"]}),
        ("Record", {"fields": ["breach_count", "last_breach_at", "created_at", "updated_at"]}),
    ]

    def get_inlines(self, request: HttpRequest, obj: RiskRule | None) -> list[Any]:
        """A rule reaches no account before it is there, so it differs on none."""
        return list(super().get_inlines(request, obj)) if obj is not None else []

    def delete_with_service(self, obj: RiskRule) -> None:
        delete_rule(rule=obj)


@admin.register(RuleArming)
class RuleArmingAdmin(LedgerAdmin[RuleArming]):
    """Where rules may act by themselves; only their owners arm them, having seen what they do."""

    list_display = ["rule", "account", "armed_at", "armed_by"]
    list_select_related = ["rule", "account", "armed_by"]
    list_filter = ["rule__rule_type", "rule__action"]
    search_fields = ["rule__name", "account__name"]
    date_hierarchy = "armed_at"

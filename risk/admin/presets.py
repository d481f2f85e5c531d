from typing import Any, TypeVar

from django import forms
from django.contrib import admin
from django.db.models import Model

from accounts.admin.bases import RehearsedForm, ServiceAdmin
from risk.models import GroupTemplate, RulePreset
from risk.services.presets import delete_preset, save_preset, update_preset
from risk.services.templates import delete_template, save_template, update_template

Row = TypeVar("Row", bound=Model)

_RULES_HELP = (
    'A list, for example [{"name": "Size", "rule_type": "MAX_POSITION_SIZE", "limit": 2}].'
)


class _ListsForm(RehearsedForm[Row]):
    def listed(self, name: str) -> list[Any]:
        value = self.cleaned_data[name] or []
        if not isinstance(value, list):
            raise forms.ValidationError("Give a list.", code="invalid")
        return value

    def clean_rules(self) -> list[Any]:
        return self.listed("rules")


class PresetForm(_ListsForm[RulePreset]):
    class Meta:
        model = RulePreset
        fields = ["user", "name", "description", "rules"]
        help_texts = {"rules": _RULES_HELP}

    def perform(self) -> RulePreset:
        if self.instance._state.adding:
            return save_preset(**self.cleaned_data)
        return update_preset(preset=self.instance, **self.cleaned_data)


class TemplateForm(_ListsForm[GroupTemplate]):
    class Meta:
        model = GroupTemplate
        fields = ["user", "name", "description", "tags", "rules"]
        help_texts = {"rules": _RULES_HELP, "tags": 'A list, for example ["evaluation"].'}

    def clean_tags(self) -> list[Any]:
        return self.listed("tags")

    def perform(self) -> GroupTemplate:
        if self.instance._state.adding:
            return save_template(**self.cleaned_data)
        return update_template(template=self.instance, **self.cleaned_data)


class _StoredRulesAdmin(ServiceAdmin[Row]):
    list_display = ["name", "user", "description", "rule_count", "updated_at"]
    list_select_related = ["user"]
    search_fields = ["name", "description", "user__username", "user__email"]
    date_hierarchy = "created_at"
    autocomplete_fields = ["user"]
    readonly_fields = ["created_at", "updated_at"]

    @admin.display(description="rules")
    def rule_count(self, row: Any) -> int:
        return len(row.rules)


@admin.register(RulePreset)
class RulePresetAdmin(_StoredRulesAdmin[RulePreset]):
    form = PresetForm
    fields = ["user", "name", "description", "rules", "created_at", "updated_at"]

    def delete_with_service(self, obj: RulePreset) -> None:
        delete_preset(preset=obj)


@admin.register(GroupTemplate)
class GroupTemplateAdmin(_StoredRulesAdmin[GroupTemplate]):
    form = TemplateForm
    fields = ["user", "name", "description", "tags", "rules", "created_at", "updated_at"]

    def delete_with_service(self, obj: GroupTemplate) -> None:
        delete_template(template=obj)

"""Presets and group templates: made, changed and used."""

from collections.abc import Mapping
from typing import Any

from django import forms

from accounts.forms.base import ServiceForm
from accounts.models import User
from risk.field_types import NameListField
from risk.forms.targets import account_choice, group_choice, rule_choice
from risk.models import GroupTemplate, RulePreset
from risk.presets.catalogue import Preset
from risk.presets.terms import written_all
from risk.services.presets import RuleSource, presets_for

_PLAIN = {"autocomplete": "off"}


class PresetForm(forms.Form, ServiceForm):
    """A preset of the user's own, made of rules that exist; `preset` is one that is changed."""

    name = forms.CharField(max_length=64, widget=forms.TextInput(attrs=_PLAIN))
    description = forms.CharField(
        max_length=255, required=False, widget=forms.TextInput(attrs=_PLAIN)
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        user: User,
        preset: RulePreset | GroupTemplate | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data, **{**kwargs, "initial": _initial(preset)})
        self.is_change = preset is not None
        self.fields["rules"] = rule_choice(user, help_text=self._rules_help())

    def _rules_help(self) -> str:
        if self.is_change:
            return "Nothing ticked keeps the rules that it has; otherwise these replace them."
        return "Their limits, parameters and actions are saved, not what they apply to."

    def changes(self) -> dict[str, Any]:
        """Return what the service needs; rules only where some were chosen."""
        cleaned = self.cleaned_data
        named = {"name": cleaned["name"], "description": cleaned["description"]}
        rules = self.chosen_rules()
        return {**named, "rules": rules} if rules or not self.is_change else named

    def chosen_rules(self) -> list[RuleSource]:
        return list(self.cleaned_data["rules"])


class TemplateForm(PresetForm):
    """A group template: rules, those of a preset besides, and tags for the accounts."""

    tags = NameListField(
        required=False,
        max_length=400,
        help_text="Separated by commas; the accounts of a new group get them.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    preset = forms.ChoiceField(
        required=False, label="Rules of a preset", help_text="They come in addition."
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, user: User, **kwargs: Any) -> None:
        super().__init__(data, user=user, **kwargs)
        self._choices = {
            f"{preset.key}/{phase.key if phase else ''}": (preset, phase)
            for preset in presets_for(user)
            for phase in preset.phases or (None,)
        }
        field = self.fields["preset"]
        if isinstance(field, forms.ChoiceField):
            named = [
                (key, f"{preset.name}, {phase.name}" if phase else preset.name)
                for key, (preset, phase) in self._choices.items()
            ]
            field.choices = [("", "None"), *named]

    def chosen_rules(self) -> list[RuleSource]:
        chosen = super().chosen_rules()
        if self.cleaned_data["preset"]:
            preset, phase = self._choices[self.cleaned_data["preset"]]
            chosen += written_all(preset.rules_in(phase))
        return chosen

    def changes(self) -> dict[str, Any]:
        return {**super().changes(), "tags": self.cleaned_data["tags"]}


class UsePresetForm(forms.Form, ServiceForm):
    """Where a preset goes, and in which phase its account is."""

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        user: User,
        preset: Preset,
        initial: Mapping[str, Any],
    ) -> None:
        super().__init__(data, initial=dict(initial))
        if preset.phases:
            self.fields["phase"] = forms.ChoiceField(
                choices=[(phase.key, phase.name) for phase in preset.phases]
            )
        self.fields["groups"] = group_choice(user)
        self.fields["accounts"] = account_choice(user)


class UseTemplateForm(forms.Form, ServiceForm):
    group_name = forms.CharField(
        max_length=64,
        label="Name of the new group",
        widget=forms.TextInput(attrs={**_PLAIN, "autofocus": True}),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, user: User) -> None:
        super().__init__(data)
        self.fields["accounts"] = account_choice(user)

    def errors_by_field(self, errors: Any) -> Any:
        return {"group_name" if name == "name" else name: each for name, each in errors.items()}


def _initial(row: RulePreset | GroupTemplate | None) -> dict[str, Any]:
    if row is None:
        return {}
    tags = {"tags": row.tags} if isinstance(row, GroupTemplate) else {}
    return {"name": row.name, "description": row.description, **tags}

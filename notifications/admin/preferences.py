from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin.bases import RehearsedForm, ServiceAdmin
from notifications.models import DeliverySettings, Preference
from notifications.services.delivery_settings import quiet_errors, reset_settings, update_settings
from notifications.services.preferences import delete_preference, set_preference
from notifications.transports import transport_choices


class PreferenceForm(RehearsedForm[Preference]):
    transports = forms.MultipleChoiceField(
        choices=transport_choices, required=False, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Preference
        fields = ["user", "type", "mode", "minimum_priority", "transports"]

    def perform(self) -> Preference:
        if self.instance._state.adding:
            return set_preference(**self.cleaned_data)
        row = self.instance
        return set_preference(user=row.user, type=row.type, **self.cleaned_data)


@admin.register(Preference)
class PreferenceAdmin(ServiceAdmin[Preference]):
    form = PreferenceForm
    readonly_on_change = ("user", "type")
    list_display = ["type", "user", "mode", "minimum_priority", "transport_names", "updated_at"]
    list_select_related = ["user"]
    list_filter = ["type", "mode", "minimum_priority"]
    search_fields = ["type", "user__username", "user__email"]
    date_hierarchy = "updated_at"
    autocomplete_fields = ["user"]
    readonly_fields = ["updated_at"]
    fields = ["user", "type", "mode", "minimum_priority", "transports", "updated_at"]

    @admin.display(description="transports")
    def transport_names(self, preference: Preference) -> str:
        return ", ".join(preference.transports) or "none"

    def delete_with_service(self, obj: Preference) -> None:
        delete_preference(preference=obj)


class SettingsForm(RehearsedForm[DeliverySettings]):
    class Meta:
        model = DeliverySettings
        fields = [
            "user",
            "quiet_from",
            "quiet_until",
            "summary_at",
            "repeat_minutes",
            "storm_limit",
        ]

    def clean(self) -> None:
        """Name the end that is missing before the table's constraint names nothing."""
        super().clean()
        ends = (self.cleaned_data.get("quiet_from"), self.cleaned_data.get("quiet_until"))
        for name, error in quiet_errors(*ends).items():
            self.add_error(name, error)

    def perform(self) -> DeliverySettings:
        values = dict(self.cleaned_data)
        user = values.pop("user", None) or self.instance.user
        return update_settings(user=user, now=timezone.now(), **values)


@admin.register(DeliverySettings)
class DeliverySettingsAdmin(ServiceAdmin[DeliverySettings]):
    form = SettingsForm
    list_display = [
        "user",
        "quiet_from",
        "quiet_until",
        "summary_at",
        "repeat_minutes",
        "storm_limit",
        "summarised_on",
    ]
    list_select_related = ["user"]
    list_filter = [("quiet_from", admin.EmptyFieldListFilter), "summary_at"]
    search_fields = ["user__username", "user__email"]
    date_hierarchy = "updated_at"
    autocomplete_fields = ["user"]
    readonly_fields = ["summarised_on", "updated_at"]
    new_fields: ClassVar[list[str]] = list(SettingsForm.Meta.fields)
    fields = [*new_fields, *readonly_fields]

    def get_fields(self, request: HttpRequest, obj: DeliverySettings | None = None) -> Any:
        return self.new_fields if obj is None else super().get_fields(request, obj)

    def delete_with_service(self, obj: DeliverySettings) -> None:
        reset_settings(settings=obj, now=timezone.now())

from django import forms
from django.contrib import admin

from accounts.admin.bases import ServiceAdmin
from accounts.admin.generic import ModelForm
from risk.models import NewsCalendar, NewsEvent


class NewsEventForm(ModelForm[NewsEvent]):
    class Meta:
        model = NewsEvent
        fields = ["user", "at", "currency", "importance", "title"]

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].upper()
        if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
            raise forms.ValidationError("Give three letters, for example USD.", code="invalid")
        return currency


class NewsCalendarForm(ModelForm[NewsCalendar]):
    class Meta:
        model = NewsCalendar
        fields = ["user", "covers_from_at", "covers_until_at", "imported_at"]

    def clean(self) -> None:
        super().clean()
        since, until = (self.cleaned_data.get(f"covers_{name}_at") for name in ("from", "until"))
        if since is not None and until is not None and until < since:
            self.add_error("covers_until_at", "The calendar ends before it begins.")


@admin.register(NewsEvent)
class NewsEventAdmin(ServiceAdmin[NewsEvent]):
    form = NewsEventForm
    list_display = ["at", "currency", "importance", "title", "user"]
    list_select_related = ["user"]
    list_filter = ["importance", "currency"]
    search_fields = ["title", "currency", "user__username"]
    date_hierarchy = "at"
    autocomplete_fields = ["user"]


@admin.register(NewsCalendar)
class NewsCalendarAdmin(ServiceAdmin[NewsCalendar]):
    form = NewsCalendarForm
    list_display = ["user", "covers_from_at", "covers_until_at", "imported_at"]
    list_select_related = ["user"]
    search_fields = ["user__username", "user__email"]
    autocomplete_fields = ["user"]

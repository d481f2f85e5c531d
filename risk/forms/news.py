from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone

from accounts.forms.base import ServiceForm
from risk.services.news import MOST_BYTES

_DAYS = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2100, 12, 30))]


class NewsImportForm(forms.Form, ServiceForm):
    file = forms.FileField(
        label="Calendar",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.json,text/csv,application/json"}),
        help_text=(
            "CSV with the columns at, currency, importance and title, or JSON with the same "
            f"names; at most {MOST_BYTES // 1024 // 1024} MB. Times carry their offset from UTC."
        ),
    )
    covers_from = forms.DateField(
        required=False,
        label="Complete from",
        validators=_DAYS,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Empty: from its first event on.",
    )
    covers_until = forms.DateField(
        required=False,
        label="Until, and with",
        validators=_DAYS,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Empty: until its last event.",
    )

    def changes(self) -> dict[str, Any]:
        """Return what the service needs: moments for the days, which are the user's own."""
        cleaned = self.cleaned_data
        last_day: date | None = cleaned["covers_until"]
        return {
            "file": cleaned["file"],
            "covers_from_at": _midnight(cleaned["covers_from"]),
            "covers_until_at": _midnight(last_day and last_day + timedelta(days=1)),
        }


def _midnight(day: date | None) -> datetime | None:
    if day is None:
        return None
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())

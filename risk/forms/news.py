from django import forms

from accounts.forms.base import ServiceForm
from risk.services.news import MOST_BYTES


class NewsImportForm(forms.Form, ServiceForm):
    file = forms.FileField(
        label="Calendar",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.json,text/csv,application/json"}),
        help_text=(
            "CSV with the columns at, currency, importance and title, or JSON with the same "
            f"names; at most {MOST_BYTES // 1024 // 1024} MB. Times carry their offset from UTC."
        ),
    )

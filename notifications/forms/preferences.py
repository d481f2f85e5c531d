"""What a user is told and by which ways: a row per type, a column per way, and when."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BoundField

from accounts.forms.base import ServiceForm
from notifications.defaults import Choice
from notifications.models import DeliverySettings, NotificationType, Preference, Priority
from notifications.screen.preferences import AREAS, EXPLANATIONS, area_of
from notifications.selectors.preferences import Column, Matrix, Row

MODES = [
    (Preference.Mode.ON, "On"),
    (Preference.Mode.SILENT, "Silent"),
    (Preference.Mode.OFF, "Off"),
]
MINIMUMS = [
    (Priority.LOW, "Any priority"),
    (Priority.MEDIUM, "Medium and up"),
    (Priority.HIGH, "High and up"),
    (Priority.URGENT, "Urgent only"),
]


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A type on the page; what always passes has no `mode` and no `minimum` to choose."""

    type: str
    label: str
    explanation: str
    mode: BoundField | None
    minimum: BoundField | None
    ways: BoundField


class MatrixForm(forms.Form, ServiceForm):
    """The choice for every type; ways that a user has no channel of are not asked for.

    They stay as they are: whoever adds a channel later finds them chosen as they were.
    """

    def __init__(self, matrix: Matrix, data: Any = None) -> None:
        super().__init__(data)
        self.matrix = matrix
        self.columns: list[Column] = [each for each in matrix.columns if each.channels]
        for row in matrix.rows:
            self._add_fields(row)

    def areas(self) -> Iterator[tuple[str, list[ShownRow]]]:
        """Yield the headings and, under each, the rows."""
        order = list(AREAS)
        rows = sorted(self.matrix.rows, key=lambda row: order.index(area_of(row.type)))
        for area, members in groupby(rows, key=lambda row: area_of(row.type)):
            yield area, [self._shown(row) for row in members]

    def changes(self) -> dict[str, Choice]:
        """Return the choice of every type for which it is another than before."""
        chosen = {row.type: self._chosen(row) for row in self.matrix.rows}
        return {
            row.type: chosen[row.type] for row in self.matrix.rows if chosen[row.type] != row.choice
        }

    def errors_by_field(
        self, errors: Mapping[str, list[ValidationError]]
    ) -> Mapping[str, list[ValidationError]]:
        names = {"mode": "mode", "minimum_priority": "minimum", "transports": "ways"}
        renamed = {}
        for name, messages in errors.items():
            kind, _, field = name.partition(".")
            renamed[f"{names.get(field, field)}-{kind}"] = messages
        return renamed

    def _add_fields(self, row: Row) -> None:
        if not row.always_passes:
            self.fields[f"mode-{row.type}"] = forms.ChoiceField(
                choices=MODES, initial=row.choice.mode, label="How"
            )
            self.fields[f"minimum-{row.type}"] = forms.ChoiceField(
                choices=MINIMUMS, initial=row.choice.minimum_priority, label="From"
            )
        self.fields[f"ways-{row.type}"] = forms.MultipleChoiceField(
            required=False,
            choices=[(column.name, column.label) for column in self.columns],
            initial=sorted(row.choice.transports),
            widget=forms.CheckboxSelectMultiple,
            label="By",
        )

    def _shown(self, row: Row) -> ShownRow:
        return ShownRow(
            type=row.type,
            label=row.label,
            explanation=EXPLANATIONS.get(NotificationType(row.type), ""),
            mode=None if row.always_passes else self[f"mode-{row.type}"],
            minimum=None if row.always_passes else self[f"minimum-{row.type}"],
            ways=self[f"ways-{row.type}"],
        )

    def _chosen(self, row: Row) -> Choice:
        asked = {column.name for column in self.columns}
        named = frozenset(self.cleaned_data[f"ways-{row.type}"])
        return Choice(
            mode=self.cleaned_data.get(f"mode-{row.type}", row.choice.mode),
            minimum_priority=self.cleaned_data.get(
                f"minimum-{row.type}", row.choice.minimum_priority
            ),
            transports=named | (row.choice.transports - asked),
        )


class TimeInput(forms.TimeInput):
    input_type = "time"

    def __init__(self) -> None:
        super().__init__(format="%H:%M")


class QuietForm(forms.Form):
    """The hours alone, as they are typed."""

    quiet_from = forms.TimeField(required=False, label="From", widget=TimeInput())
    quiet_until = forms.TimeField(required=False, label="Until", widget=TimeInput())


class DeliverySettingsForm(QuietForm, ServiceForm):
    summary_at = forms.TimeField(
        label="Daily summary at", help_text="In your time zone.", widget=TimeInput()
    )
    repeat_minutes = forms.IntegerField(
        min_value=0,
        max_value=120,
        label="Count the same thing instead of repeating it",
        help_text="Within so many minutes it is told once, and counted. 0: told every time.",
    )
    storm_limit = forms.IntegerField(
        min_value=1,
        max_value=100,
        label="Messages at most",
        help_text="What comes on top, to one channel, is gathered and sent as one.",
    )

    def __init__(self, settings: DeliverySettings, data: Any = None) -> None:
        names = self.base_fields
        super().__init__(data, initial={name: getattr(settings, name) for name in names})

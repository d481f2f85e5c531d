"""Lists that people type: symbols, pairs of symbols, magic numbers."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

_BETWEEN = re.compile(r"[,;\s]+")
_EQUALS = re.compile(r"\s*(?:=|→|->)\s*")
_LONGEST = 20_000


class SymbolsField(forms.CharField):
    """Symbols parted by commas or spaces, as a list; their case is the broker's."""

    def __init__(self, **options: Any) -> None:
        attributes = {"autocomplete": "off", "spellcheck": "false"}
        options.setdefault("widget", forms.TextInput(attrs=attributes))
        super().__init__(max_length=_LONGEST, required=False, **options)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: object) -> Any:
        return [each for each in _BETWEEN.split(super().clean(value)) if each]


class MagicsField(SymbolsField):
    """Magic numbers parted by commas or spaces, as a list."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return ", ".join(str(each) for each in value)
        return value

    def clean(self, value: object) -> list[int]:
        try:
            return [int(each) for each in _texts(super().clean(value))]
        except ValueError:
            raise ValidationError("Magic numbers are whole numbers, such as: 1001, 1002.") from None


class SymbolMapField(forms.CharField):
    """A line per symbol, "EURUSD = EURUSD.m", as the follower's symbol by the provider's."""

    def __init__(self, **options: Any) -> None:
        attributes = {"rows": 3, "spellcheck": "false", "placeholder": "US30 = DJ30"}
        options.setdefault("widget", forms.Textarea(attrs=attributes))
        super().__init__(max_length=_LONGEST, required=False, **options)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return "\n".join(f"{theirs} = {ours}" for theirs, ours in value.items())
        return value

    def clean(self, value: object) -> Any:
        found: dict[str, str] = {}
        for line in super().clean(value).splitlines():
            if not line.strip():
                continue
            parts = _EQUALS.split(line.strip())
            if len(parts) != 2 or not all(parts):
                raise ValidationError(f"“{line.strip()[:60]}”: write it as US30 = DJ30.")
            if parts[0] in found:
                raise ValidationError(f"{parts[0]} is there twice.")
            found[parts[0]] = parts[1]
        return found


def firm_terms_field() -> forms.BooleanField:
    """Return the box that says that a firm's sentence on copying was read."""
    label = "I have read what the firm says, and copying is allowed here"
    return forms.BooleanField(required=False, label=label)


def _texts(values: Iterable[object]) -> list[str]:
    return [str(each) for each in values]

"""Filters of lists that refuse what they do not understand, instead of showing everything."""

from copy import deepcopy
from datetime import UTC
from typing import Any

from django import forms
from django.db import models
from django.forms import ValidationError
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


class TruthField(forms.Field):
    widget = forms.TextInput

    def clean(self, value: Any) -> bool | None:
        if value in self.empty_values:
            return None
        try:
            return _TRUTHS[str(value).lower()]
        except KeyError:
            raise ValidationError("Say true or false.") from None


class TruthFilter(filters.BooleanFilter):  # type: ignore[misc]  # the package has no types
    field_class = TruthField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"widget": forms.TextInput, **kwargs})


class WholeNumberFilter(filters.NumberFilter):  # type: ignore[misc]  # the package has no types
    field_class = forms.IntegerField

    def get_max_validator(self) -> None:
        """Leave limits to `max_value`: the field takes no other validator."""


class InstantField(IsoDateTimeField):  # type: ignore[misc]  # the package has no types
    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        try:
            return None if moment is None else moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError("Enter a moment that lies in this era.") from None


class InstantFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]  # the package has no types
    field_class = InstantField


class QueryFilterSet(filters.FilterSet):  # type: ignore[misc]  # the package has no types
    """A filter set whose truths, whole numbers and moments are read strictly."""

    FILTER_DEFAULTS = {
        **deepcopy(filters.FilterSet.FILTER_DEFAULTS),
        models.BooleanField: {"filter_class": TruthFilter},
        models.DateTimeField: {"filter_class": InstantFilter},
        models.BigIntegerField: {"filter_class": WholeNumberFilter},
        models.IntegerField: {"filter_class": WholeNumberFilter},
    }

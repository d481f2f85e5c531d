"""Where sealed values stand: what binds each to its row, and which columns hold them."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldError
from django.db import models


class SealedColumn:
    """Marks a model field whose values the vault seals."""


def associated_data(instance: models.Model, field: Any) -> bytes:
    """Name the place of a value: model, column and row."""
    if instance.pk is None:
        raise FieldError(f"{field.name} is bound to its row, which has no key yet.")
    return f"{instance._meta.label_lower}:{field.column}:{instance.pk}".encode()


def sealed_fields() -> Iterator[Any]:
    """Give every sealed column of every model, in the order of the models' names."""
    for model in sorted(apps.get_models(), key=lambda model: model._meta.label_lower):
        for field in model._meta.local_concrete_fields:
            if isinstance(field, SealedColumn):
                yield field

"""Everything in the database that a master key has sealed, for whoever counts or reseals it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from django.apps import apps
from django.db.models import Model, QuerySet

from accounts.vault import keyring
from accounts.vault.cipher import VaultError
from accounts.vault.fields import Ciphertext, EncryptedTextField
from accounts.vault.places import associated_data, sealed_fields
from accounts.vault.sealed_text import is_current_text, open_text, reseal_text

# The context that two-factor secrets are sealed for.
SECOND_FACTORS = "mfa"
_FACTOR_KEYS = ("secret", "seed")
_FACTOR_LISTS = ("migrated_codes",)


class SealedValues(Protocol):
    """A column that holds sealed values; a row may hold several."""

    label: str

    def rows(self) -> "QuerySet[Any]":
        """Return the rows that hold something, in the order of their keys."""

    def is_current(self, row: Any) -> bool:
        """Tell whether the current master key sealed all of the row."""

    def is_open(self, row: Any) -> bool:
        """Tell whether one of this process's master keys opens the row."""

    def reseal(self, row: Any) -> None:
        """Write the row's values sealed with the current master key; VaultError: none opens it."""


class SealedColumn:
    """An encrypted field of a model."""

    def __init__(self, field: EncryptedTextField) -> None:
        self._field = field
        self.label = f"{field.model._meta.verbose_name} {field.name}"

    def rows(self) -> "QuerySet[Any]":
        name = self._field.name
        managed = self._field.model._base_manager.filter(**{f"{name}__isnull": False})
        return managed.order_by("pk")

    def is_current(self, row: Model) -> bool:
        return keyring.is_current(self._field.value_from_object(row))

    def is_open(self, row: Model) -> bool:
        try:
            place = associated_data(row, self._field)
            keyring.unseal(self._field.value_from_object(row), place=place)
        except VaultError:
            return False
        return True

    def reseal(self, row: Model) -> None:
        place = associated_data(row, self._field)
        token = keyring.reseal(self._field.value_from_object(row), place=place)
        # Past `save()`: that would move `updated_at`.
        rows = self._field.model._base_manager.filter(pk=row.pk)
        rows.update(**{self._field.name: Ciphertext(token)})


class SecondFactors:
    """The texts in the data of allauth's authenticators."""

    label = "two-factor secret"

    def rows(self) -> "QuerySet[Any]":
        rows: QuerySet[Any] = apps.get_model("mfa", "Authenticator")._base_manager.order_by("pk")
        return rows

    def is_current(self, row: Any) -> bool:
        try:
            return all(is_current_text(token) for token in _tokens(row.data))
        except VaultError:
            return False

    def is_open(self, row: Any) -> bool:
        try:
            for token in _tokens(row.data):
                open_text(token, context=SECOND_FACTORS)
        except VaultError:
            return False
        return True

    def reseal(self, row: Any) -> None:
        data = dict(row.data)
        for key in data.keys() & _FACTOR_KEYS:
            data[key] = reseal_text(data[key], context=SECOND_FACTORS)
        for key in data.keys() & _FACTOR_LISTS:
            data[key] = [reseal_text(token, context=SECOND_FACTORS) for token in data[key]]
        self.rows().filter(pk=row.pk).update(data=data)


def sealed_values() -> Iterator[SealedValues]:
    """Give every column with sealed values."""
    for field in sealed_fields():
        yield SealedColumn(field)
    yield SecondFactors()


@dataclass(slots=True)
class SecretCounts:
    """Rows with secrets: all, those of an earlier master key, those that open with none here."""

    total: int = 0
    older: int = 0
    closed: int = 0


def count_secrets() -> SecretCounts:
    counts = SecretCounts()
    for column in sealed_values():
        for row in column.rows().iterator():
            counts.total += 1
            counts.closed += not column.is_open(row)
            counts.older += not column.is_current(row)
    return counts


def _tokens(data: dict[str, Any]) -> Iterator[str]:
    for key in _FACTOR_KEYS:
        if key in data:
            yield data[key]
    for key in _FACTOR_LISTS:
        yield from data.get(key, ())

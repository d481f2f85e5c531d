"""A model field whose value is encrypted in `save()` and decrypted when the attribute is read."""

from base64 import b64encode
from typing import Any

from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from fernet_fields import EncryptedTextField as FernetTextField

from accounts.vault.cipher import decrypt, encrypt


class Ciphertext(bytes):
    """What the database holds; never shows itself."""

    def __repr__(self) -> str:
        return "<encrypted>"

    __str__ = __repr__


class EncryptedAttribute(DeferredAttribute):
    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)  # type: ignore[arg-type]  # the stub knows no None
        if instance is not None and isinstance(value, Ciphertext):
            return decrypt(
                value,
                master_key=settings.MASTER_KEY,
                associated_data=associated_data(instance, self.field),
            )
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


def associated_data(instance: models.Model, field: Any) -> bytes:
    """Name the place of a value: model, column and row."""
    return f"{instance._meta.label_lower}:{field.column}:{instance.pk}".encode()


class EncryptedTextField(FernetTextField):  # type: ignore[misc]  # the package has no types
    """Text that lies encrypted in the database, bound to its row.

    Only `save()` and `bulk_create()` write it: the key of a value depends on its row, which
    `update()` and `bulk_update()` do not know, so both raise. Look-ups other than `isnull` raise.
    `.values()` and `dumpdata` give ciphertext.
    """

    descriptor_class = EncryptedAttribute

    @property
    def keys(self) -> list[str]:
        raise FieldError("This field is encrypted by the vault, not by Fernet keys.")

    fernet_keys = fernet = keys

    def pre_save(self, model_instance: models.Model, add: bool) -> Ciphertext | None:
        value = model_instance.__dict__.get(self.attname)
        if value is None or isinstance(value, Ciphertext):
            return value
        return Ciphertext(
            encrypt(
                str(value),
                master_key=settings.MASTER_KEY,
                associated_data=associated_data(model_instance, self),
            )
        )

    def get_prep_value(self, value: Any) -> Any:
        return value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, Ciphertext):
            raise FieldError(f"{self.name} is encrypted for its row: write it with save().")
        return connection.Database.Binary(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Ciphertext | None:
        return None if value is None else Ciphertext(value)

    def value_from_object(self, obj: models.Model) -> Any:
        return obj.__dict__.get(self.attname)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.pre_save(obj, add=False)
        return "" if value is None else b64encode(value).decode()

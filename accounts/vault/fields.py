"""A model field whose value is encrypted in `save()` and decrypted when the attribute is read."""

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldError
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.views.decorators.debug import sensitive_variables

from accounts.vault import keyring
from accounts.vault.cipher import VaultError
from accounts.vault.places import SealedColumn, associated_data

if TYPE_CHECKING:  # the package has no types; for a reader of the attribute this is text
    FernetTextField = models.TextField[str | None, str | None]
else:
    from fernet_fields import EncryptedTextField as FernetTextField


class Ciphertext(bytes):
    """What the database holds; never shows itself."""

    def __repr__(self) -> str:
        return "<encrypted>"

    __str__ = __repr__


class EncryptedAttribute(DeferredAttribute):
    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if instance is not None and isinstance(value, Ciphertext):
            return keyring.unseal(value, place=associated_data(instance, self.field))
        return value

    # Having a setter makes this a data descriptor, so that it is asked before the instance's dict.
    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedTextField(SealedColumn, FernetTextField):
    """Text that lies encrypted in the database, bound to its row.

    Only `save()` and `bulk_create()` write it: the key of a value depends on its row, which
    `update()` and `bulk_update()` do not know, so both raise. Look-ups other than `isnull` raise.
    `.values()` and `dumpdata` give ciphertext. Once saved, an instance holds ciphertext as well,
    and opens it each time the attribute is read.
    """

    descriptor_class = EncryptedAttribute

    @property
    def keys(self) -> list[str]:
        raise FieldError("This field is encrypted by the vault, not by Fernet keys.")

    fernet_keys = fernet = keys

    @sensitive_variables("value")
    def pre_save(  # Django passes `add` by name
        self,
        model_instance: models.Model,
        add: bool,  # noqa: ARG002
    ) -> Ciphertext | None:
        value = model_instance.__dict__.get(self.attname)
        if value is None:
            return None
        place = associated_data(model_instance, self)
        if isinstance(value, Ciphertext):
            sealed = _resealed(value, place)
        else:
            sealed = Ciphertext(keyring.seal(str(value), place=place))
        model_instance.__dict__[self.attname] = sealed
        return sealed

    def get_prep_value(self, value: Any) -> Any:
        return value

    def get_placeholder(self, value: Any, _compiler: Any, _connection: Any) -> str:
        """Refuse SQL expressions (`update(secret=F("name"))`), which bypass `get_db_prep_save`."""
        if hasattr(value, "as_sql"):
            raise self._not_for_its_row()
        return "%s"

    @sensitive_variables("value")
    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, Ciphertext):
            raise self._not_for_its_row()
        return connection.Database.Binary(value)

    def from_db_value(self, value: Any, _expression: Any, _connection: Any) -> Ciphertext | None:
        return None if value is None else Ciphertext(value)

    def value_from_object(self, obj: models.Model) -> Any:
        return obj.__dict__.get(self.attname)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.pre_save(obj, add=False)
        return "" if value is None else b64encode(value).decode()

    def _not_for_its_row(self) -> FieldError:
        return FieldError(f"{self.name} is encrypted for its row: write it with save().")


def _resealed(value: Ciphertext, place: bytes) -> Ciphertext:
    """Seal with the current master key what an earlier one sealed.

    An instance that was loaded before a rotation of the master key and is saved after it must not
    bring the retired key back.
    """
    try:
        return Ciphertext(keyring.reseal(value, place=place))
    except VaultError:
        return value  # of another row: it stays as unreadable as it is

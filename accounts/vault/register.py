"""Which master keys may seal: the rows of MasterKey, known by fingerprint and canary.

A master key that is wrong would not be noticed by sealing with it, only by everybody who wants to
open the value later. So the first key is written down, and another one is taken only from whoever
shows the one before.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models, transaction
from django.utils import timezone

from accounts.vault.cipher import VaultError, VaultKey, decrypt, encrypt
from accounts.vault.places import associated_data, sealed_fields

if TYPE_CHECKING:
    from accounts.models import MasterKey

CANARY = "A canary of TradeGuard's vault"
# A few damaged values must not hide that the others open.
LOOKED_AT_VALUES = 20


class MasterKeyRefusedError(VaultError, ImproperlyConfigured):
    """The master key of this process may not seal values; the message tells what to do."""


def require_sealing(key: VaultKey, readable: Iterable[VaultKey]) -> None:
    """Raise MasterKeyRefusedError unless `key` may seal.

    The first key is registered, and so is the next: one that comes together with one that is in use
    (`readable`). On PostgreSQL the key cannot be retired until the transaction around ends.
    """
    if _is_in_use(key):
        return
    fingerprint = key.fingerprint.hex()
    with transaction.atomic():
        _lock()
        if _is_in_use(key):
            return
        _require_admission(readable)
        register().create(
            fingerprint=fingerprint,
            canary=encrypt(CANARY, key=key, associated_data=_place(fingerprint)),
            created_at=timezone.now(),
        )


def examine(key: VaultKey, readable: Iterable[VaultKey]) -> None:
    """Raise MasterKeyRefusedError unless `key` could seal; write nothing."""
    if not _is_in_use(key):
        _require_admission(readable)


def register() -> "models.QuerySet[MasterKey]":
    # The models import the fields, which import this.
    return apps.get_model("accounts", "MasterKey")._base_manager.all()


def _is_in_use(key: VaultKey) -> bool:
    """Tell whether a key is registered; raise MasterKeyRefusedError when it must not be used."""
    # Whoever retires the key waits for the shared lock and sees what was sealed under it.
    lock = " FOR SHARE" if connection.vendor == "postgresql" else ""
    sql = f"SELECT * FROM accounts_masterkey WHERE fingerprint = %s{lock}"  # noqa: S608  # constant
    row = next(iter(register().raw(sql, [key.fingerprint.hex()])), None)
    if row is None:
        return False
    if row.retired_at is not None:
        raise MasterKeyRefusedError(
            f"This TRADEGUARD_MASTER_KEY ({row.pk[:8]}…) was retired on {row.retired_at:%Y-%m-%d}. "
            "Set the one that replaced it."
        )
    if not opens_canary(key, row):
        raise MasterKeyRefusedError(f"The entry of the master key {row.pk[:8]}… is damaged.")
    return True


def opens_canary(key: VaultKey, row: "MasterKey") -> bool:
    try:
        opened = decrypt(bytes(row.canary), keys=[key], associated_data=_place(row.pk))
    except VaultError:
        return False
    return opened == CANARY


def _require_admission(readable: Iterable[VaultKey]) -> None:
    rows = {row.pk: row for row in register().filter(retired_at=None)}
    if rows or register().exists():
        _require_one_in_use(rows, readable)
    else:
        _require_opening(readable)


def _require_one_in_use(rows: "dict[str, MasterKey]", readable: Iterable[VaultKey]) -> None:
    for key in readable:
        row = rows.get(key.fingerprint.hex())
        if row is not None and opens_canary(key, row):
            return
    known = ", ".join(f"{fingerprint[:8]}…" for fingerprint in rows)
    raise MasterKeyRefusedError(
        "TRADEGUARD_MASTER_KEY is not the key that the stored secrets are sealed with "
        f"({known}). Set that one. To replace it by a new key, give it as "
        "TRADEGUARD_MASTER_KEY_PREVIOUS next to the new one."
    )


def _require_opening(readable: Iterable[VaultKey]) -> None:
    """Refuse the first key when there are secrets from before the register that it can't open."""
    keys = list(readable)
    is_sealed = False
    for token, place in _stored_values():
        is_sealed = True
        try:
            decrypt(token, keys=keys, associated_data=place)
        except VaultError:
            continue
        return
    if is_sealed:
        raise MasterKeyRefusedError(
            "TRADEGUARD_MASTER_KEY does not open the stored secrets. Set the key that they were "
            "stored with."
        )


def _stored_values() -> Iterator[tuple[bytes, bytes]]:
    for field in sealed_fields():
        rows = field.model._base_manager.filter(**{f"{field.name}__isnull": False}).only(
            "pk", field.name
        )
        for row in rows.order_by("-pk")[:LOOKED_AT_VALUES]:
            yield field.value_from_object(row), associated_data(row, field)


def _lock() -> None:
    """Let nobody else register a key until the transaction ends."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE accounts_masterkey IN SHARE ROW EXCLUSIVE MODE")


def _place(fingerprint: Any) -> bytes:
    return f"canary:{fingerprint}".encode()

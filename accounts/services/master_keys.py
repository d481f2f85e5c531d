"""The master keys as a start, a check of the setup and a rotation see them."""

import logging
from datetime import datetime
from pathlib import Path

from django.db import Error, connection, transaction

from accounts.models import MasterKey
from accounts.services.sealed_values import sealed_values
from accounts.vault.keyring import current_key, readable_keys
from accounts.vault.register import examine, require_sealing

logger = logging.getLogger(__name__)


def ensure_master_key() -> bool:
    """Check at the start of a process that its master key may seal; register it if it is the first.

    Raises MasterKeyRefusedError (an ImproperlyConfigured) for a wrong or retired key, having
    written nothing. Returns False when the database could not be asked: the vault asks again before
    it seals anything.
    """
    if not _has_database():
        return False
    try:
        require_sealing(current_key(), readable_keys())
        unreadable = unreadable_keys()
    except Error as error:
        logger.warning("The master key could not be checked: %s", error)
        return False
    if unreadable:
        logger.warning(
            "Secrets sealed with the master key %s… do not open here until "
            "TRADEGUARD_MASTER_KEY_PREVIOUS gives it, or its rotation ends.",
            "…, ".join(unreadable),
        )
    return True


def examine_master_key() -> None:
    """Raise MasterKeyRefusedError if this process's master key is wrong; write nothing."""
    examine(current_key(), readable_keys())


def examine_at_start() -> None:
    """Do so where there may be no database yet, or one that was not migrated."""
    try:
        if _has_database():
            examine_master_key()
    except Error as error:
        logger.debug("The master key could not be checked: %s", error)


def unreadable_keys() -> list[str]:
    """Return the short names of registered keys in use that this process does not have."""
    in_use = set(MasterKey.objects.filter(retired_at=None).values_list("pk", flat=True))
    for key in readable_keys():
        if not in_use - {key.fingerprint.hex()}:
            return []
        in_use.discard(key.fingerprint.hex())
    return sorted(short_name(fingerprint) for fingerprint in in_use)


@transaction.atomic
def retire_others(*, now: datetime) -> list[str] | None:
    """Retire every key but the current one; return their short names, or None: not yet.

    Not as long as anything is sealed with another one.
    """
    # In the lock: whoever is sealing with one of them right now has to finish first.
    current = current_key().fingerprint.hex()
    others = MasterKey.objects.filter(retired_at=None).exclude(pk=current)
    names = [row.pk for row in others.select_for_update().order_by("pk")]
    if any(not column.is_current(row) for column in sealed_values() for row in column.rows()):
        return None
    MasterKey.objects.filter(pk__in=names).update(retired_at=now)
    return [short_name(name) for name in names]


def short_name(fingerprint: str) -> str:
    return fingerprint[:8]


def _has_database() -> bool:
    # Asking SQLite for a database that is not there would make one.
    name = str(connection.settings_dict["NAME"])
    is_file = connection.vendor == "sqlite" and not name.startswith(("file:", ":memory:"))
    return not is_file or Path(name).exists()

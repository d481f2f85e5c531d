"""Seal everything anew with the current master key, batch by batch, while the desk goes on.

Nothing is remembered between batches but what the values themselves tell, so a rotation that was
cut off anywhere is simply run again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import ApiKey, ApiKeyAuditLog
from accounts.services.key_trail import Operation
from accounts.services.sealed_values import SealedValues, sealed_values
from accounts.vault.cipher import VaultError

BATCH_ROWS = 100


@dataclass(slots=True)
class Resealed:
    """What one pass over everything did; `closed` names rows that no master key here opens."""

    changed: int = 0
    closed: list[str] = field(default_factory=list)


def count_rows() -> int:
    return sum(column.rows().count() for column in sealed_values())


def reseal_all(*, now: Callable[[], datetime], advance: Callable[[int], object]) -> Resealed:
    """Look at every sealed value once and seal it with the current master key, if it is not.

    `advance` is told the number of rows after each batch, which is a transaction of its own.
    """
    total = Resealed()
    for column in sealed_values():
        last: Any = None
        while True:
            with transaction.atomic():
                rows = _next_rows(column, last)
                _reseal(column, rows, total, now())
            if not rows:
                break
            last = rows[-1].pk
            advance(len(rows))
    return total


def _next_rows(column: SealedValues, last: Any) -> list[Any]:
    rows = column.rows()
    if last is not None:
        rows = rows.filter(pk__gt=last)
    # Who edits one of them meanwhile is waited for, and waits.
    return list(rows.select_for_update(of=("self",))[:BATCH_ROWS])


def _reseal(column: SealedValues, rows: Iterable[Any], total: Resealed, now: datetime) -> None:
    audited = []
    for row in rows:
        if column.is_current(row):
            continue
        try:
            column.reseal(row)
        except VaultError:
            total.closed.append(f"{column.label} {row.pk}")
            continue
        total.changed += 1
        if isinstance(row, ApiKey):
            operation = Operation(key=row, action=ApiKeyAuditLog.Action.REENCRYPTED, now=now)
            audited.append(operation.row(ApiKeyAuditLog.Outcome.ALLOWED))
    ApiKeyAuditLog.objects.bulk_create(audited)

"""Counting what the sessions do with the keys, for a whole batch of logins at once."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, Value, When

from accounts.models import ApiKey, ApiKeyAuditLog
from accounts.services.key_trail import LONGEST_MESSAGE, Action, Operation, Outcome

_Value = TypeVar("_Value", bound=Hashable)


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A login with a key; `reason` is empty when the broker took it.

    `is_refused` is a login that TradeGuard itself did not try, because the key may not be used.
    """

    key: ApiKey
    account_id: UUID
    account_name: str
    reason: str = ""
    message: str = ""
    is_refused: bool = False


def record_uses(*, uses: Sequence[KeyUse], now: datetime) -> None:
    """Count the logins of a batch and leave rows of them: one update and one insert, any size.

    Every login counts. A row is left by each that succeeded, and by a failure that is not the same
    as what happened last with the key: a broker that is away is tried for hours and must not fill
    the trail. `updated_at` stays: a use is no edit.
    """
    if not uses:
        return
    succeeded = [use for use in uses if not use.reason]
    failed = [use for use in uses if use.reason]
    with transaction.atomic():
        _count(succeeded, failed, now)
        ApiKeyAuditLog.objects.bulk_create(_rows(uses, now))


def _count(succeeded: Sequence[KeyUse], failed: Sequence[KeyUse], now: datetime) -> None:
    messages = {use.key.pk: use.message[:LONGEST_MESSAGE] for use in failed}
    used = {use.key.pk for use in succeeded}
    ApiKey.objects.filter(pk__in=used | messages.keys()).update(
        use_count=F("use_count") + _by_key(Counter(use.key.pk for use in succeeded), 0),
        last_used_at=_by_key(dict.fromkeys(used, now), F("last_used_at")),
        error_count=F("error_count") + _by_key(Counter(use.key.pk for use in failed), 0),
        last_error_at=_by_key(dict.fromkeys(messages, now), F("last_error_at")),
        last_error=_by_key(messages, F("last_error")),
    )


def _by_key(values: Mapping[UUID, _Value], otherwise: Any) -> Case:
    """Return an SQL value that depends on the key; keys with the same one share a branch."""
    keys_of: defaultdict[_Value, list[UUID]] = defaultdict(list)
    for key_id, value in values.items():
        keys_of[value].append(key_id)
    branches = [When(pk__in=keys, then=Value(value)) for value, keys in keys_of.items()]
    return Case(*branches, default=otherwise)


def _rows(uses: Iterable[KeyUse], now: datetime) -> list[ApiKeyAuditLog]:
    last: dict[UUID, str] = {}  # how the latest use ended; empty when the broker took it
    rows = []
    for use in uses:
        before = last.get(use.key.pk, _latest_failure(use.key))
        last[use.key.pk] = use.message[:LONGEST_MESSAGE] if use.reason else ""
        if use.reason and last[use.key.pk] == before:
            continue
        operation = Operation(use.key, Action.USED, now, account_id=use.account_id)
        operation.reason = use.reason
        operation.message = f"{use.account_name}: {use.message or 'The broker took the login.'}"
        failure = Outcome.REFUSED if use.is_refused else Outcome.FAILED
        rows.append(operation.row(failure if use.reason else Outcome.ALLOWED))
    return rows


def _latest_failure(key: ApiKey) -> str:
    """Return what the last login with a key failed for; empty when it did not fail."""
    if key.last_error_at is None:
        return ""
    is_over = key.last_used_at is not None and key.last_used_at > key.last_error_at
    return "" if is_over else key.last_error

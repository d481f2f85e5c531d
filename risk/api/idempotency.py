"""The key with which a client may send a request again without having it carried out twice."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.models import User
from accounts.refusals import Refusal
from risk.models import Enforcement

HEADER: Final = "Idempotency-Key"
LONGEST_KEY: Final = 64
# So long a key of a run that closes everything is remembered; an order's is for ever.
_REMEMBERED: Final = timedelta(days=1)

IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=False,
    description=(
        "Any text of up to 64 characters. The same key with the same body again answers with what "
        "came of the first request and does nothing; with another body it is refused (409)."
    ),
)


def idempotency_key(request: Request) -> str | None:
    """Return the key that the client sent, None without one; raises ValidationError."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise ValidationError({HEADER: f"Give 1 to {LONGEST_KEY} printable characters."})
    return key


def runs_once(
    *,
    user: User,
    key: str | None,
    account_ids: Sequence[UUID],
    body: dict[str, Any],
    now: datetime,
    begin: Callable[[], list[Enforcement]],
) -> list[Enforcement]:
    """Begin runs, or return those that the same key began; Refusal for a key of another request."""
    if key is None:
        return begin()
    digest = _digest(account_ids, body)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # the same key at the same time waits
        known = _runs_of(user, key, now)
        if known:
            if any(run.options["idempotency_digest"] != digest for run in known):
                raise Refusal(
                    "This key was sent with another request before; take a new one.",
                    code="idempotency_conflict",
                )
            return known
        runs = begin()
        for run in runs:
            mark = {"idempotency_key": key, "idempotency_digest": digest}
            run.options = {**run.options, **mark}
        Enforcement.objects.bulk_update(runs, ["options"])
        return runs


def _runs_of(user: User, key: str, now: datetime) -> list[Enforcement]:
    recent = Enforcement.objects.owned_by(user).filter(created_at__gte=now - _REMEMBERED)
    return list(recent.filter(options__idempotency_key=key).order_by("account_name", "pk"))


def _digest(account_ids: Sequence[UUID], body: dict[str, Any]) -> str:
    asked = [sorted(str(each) for each in account_ids), body]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

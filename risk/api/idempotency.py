"""The key with which a client may send a request again without having it carried out twice."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

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
_KEYS: Final = "idempotency"

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
    path: str,
    body: Mapping[str, Any],
    now: datetime,
    begin: Callable[[], list[Enforcement]],
) -> list[Enforcement]:
    """Begin runs, or return those that the same key began; Refusal for a key of another request.

    `path` and `body` are what the client asked, not what it came to mean: a retry is the same
    request even if an account was added in between.
    """
    if key is None:
        return begin()
    name, digest = _sha256(key), _sha256(json.dumps([path, body], sort_keys=True, default=str))
    with transaction.atomic():
        # The same key at the same time waits, a tick that tells this user something does not.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        known = _runs_of(user, name, now)
        if known:
            if any(run.options[_KEYS][name] != digest for run in known):
                raise Refusal(
                    "This key was sent with another request before; take a new one.",
                    code="idempotency_conflict",
                )
            return known
        runs = begin()
        _mark(runs, name, digest)
        return runs


def _runs_of(user: User, name: str, now: datetime) -> list[Enforcement]:
    recent = Enforcement.objects.owned_by(user).filter(created_at__gte=now - _REMEMBERED)
    known = recent.filter(**{f"options__{_KEYS}__has_key": name})
    return list(known.order_by("account_name", "pk"))


def _mark(runs: Sequence[Enforcement], name: str, digest: str) -> None:
    """Remember the key with its runs; one that was under way keeps the keys it has."""
    ids = [run.pk for run in runs]
    # As they are now: a host may be writing down what such a run is to close.
    current = list(Enforcement.objects.select_for_update().filter(pk__in=ids))
    for run in current:
        run.options = {**run.options, _KEYS: {**run.options.get(_KEYS, {}), name: digest}}
    Enforcement.objects.bulk_update(current, ["options"])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

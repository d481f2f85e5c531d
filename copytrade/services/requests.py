"""Requests that a client sends again, because it did not hear what became of the first one."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from accounts.models import User
from accounts.refusals import Refusal
from copytrade.models import CopyRelationship, CopyRequest

REMEMBERED: Final = timedelta(days=1)


def act_once(
    *,
    user: User,
    key: str | None,
    path: str,
    body: object,
    now: datetime,
    act: Callable[[], CopyRelationship],
) -> CopyRelationship:
    """Change a relationship, or return the one that a request with the same key changed.

    Of such a request nothing is done, and the relationship is as it is now. Without a key it is
    done each time. `path` and `body` are what the client asked. Raises Refusal for a key of another
    request, and whatever `act` raises, which leaves the key free.
    """
    if key is None:
        return act()
    digest = _sha256(json.dumps([path, body], sort_keys=True, default=str))
    with transaction.atomic():
        # The same key at the same time waits here.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        sent = CopyRequest.objects.filter(user_id=user.pk)
        sent.filter(created_at__lt=now - REMEMBERED).delete()
        known = sent.filter(key=_sha256(key)).first()
        if known is None:
            row = act()
            CopyRequest.objects.create(
                user_id=user.pk,
                key=_sha256(key),
                digest=digest,
                relationship_id=row.pk,
                created_at=now,
            )
            return row
        if known.digest != digest:
            raise Refusal(
                "This key was sent with another request before; take a new one.",
                code="idempotency_conflict",
            )
        return CopyRelationship.objects.get(pk=known.relationship_id)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""Providers that cannot be watched: nothing is copied from them, not even a close."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.urls import reverse

from accounts.models import ConnectedAccount
from accounts.models.connection import ConnectionState
from copytrade.models import CopyRelationship
from notifications.models import Notification, NotificationType, Priority
from notifications.services import Message
from risk.core.figures import counted_text

ROUND_SECONDS: Final = 5.0
# A session that comes back sooner has made nobody miss more than a late open.
PATIENCE: Final = timedelta(seconds=60)
REMEMBERED: Final = timedelta(days=30)
_AWAY: Final = "copying_away"
_BACK: Final = "copying_back"
_OBJECT: Final = "copy_provider"


class Outages:
    """Tells the owners of followers when their provider is away, once, and when it is back.

    What was told stands in the notifications, so a successor goes on from there.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._away_since: dict[UUID, datetime] = {}
        self._told: set[UUID] = set()  # providers of which the last that was told is that
        self._due_at = float("-inf")

    def is_due(self, monotonic: float) -> bool:
        if monotonic < self._due_at:
            return False
        self._due_at = monotonic + ROUND_SECONDS
        return True

    def messages(self, now: datetime) -> list[Message]:
        """Build what is news by now; raises a database error."""
        providers = list(
            ConnectedAccount.objects.on_host(self._host)
            .filter(copied_by__state__in=CopyRelationship.COPYING)
            .order_by()
            .values_list("pk", "name", "connection__state")
            .distinct()
        )
        away = {pk for pk, _, state in providers if state != ConnectionState.CONNECTED}
        self._away_since = {pk: self._away_since.get(pk, now) for pk in away}
        if not providers:
            return []
        self._learn({pk for pk, _, _ in providers}, now)
        told = self._told
        overdue = {pk for pk, since in self._away_since.items() if since <= now - PATIENCE}
        news = [
            (pk, name, pk in away)
            for pk, name, _ in providers
            if (pk in overdue and pk not in told) or (pk in told and pk not in away)
        ]
        return [message for each in news for message in self._about(*each, now)]

    def _learn(self, provider_ids: Collection[UUID], now: datetime) -> None:
        """Look up what was told last; who has deleted that since is not told again."""
        rows = Notification.objects.filter(
            object_type=_OBJECT,
            object_id__in=[str(pk) for pk in provider_ids],
            created_at__gt=now - REMEMBERED,
        )
        last = dict(rows.order_by("created_at", "pk").values_list("object_id", "dedupe_key"))
        for object_id, key in last.items():
            if key.startswith(f"{_AWAY}:"):
                self._told.add(UUID(object_id))
            else:
                self._told.discard(UUID(object_id))

    def _about(
        self, provider_id: UUID, provider: str, is_away: bool, now: datetime
    ) -> Iterable[Message]:
        rows = CopyRelationship.objects.copying().filter(provider_id=provider_id)
        followers: dict[int, list[str]] = defaultdict(list)
        for user_id, name in rows.order_by("created_at", "pk").values_list(
            "follower__user_id", "follower__name"
        ):
            followers[user_id].append(name)
        what, since = (_AWAY, self._away_since[provider_id]) if is_away else (_BACK, now)
        for user_id, names in followers.items():
            whom = names[0] if len(names) == 1 else counted_text(len(names), "follower")
            yield Message(
                user_id=user_id,
                type=NotificationType.COPY_ERROR if is_away
                else NotificationType.COPY_RELATIONSHIP,
                priority=Priority.HIGH if is_away else Priority.MEDIUM,
                title=f"{provider} is {'not connected' if is_away else 'connected again'}:"
                f" {whom} {_verb(names)}{' nothing from it' if is_away else ' it again'}",
                body=_BODIES[what],
                link=reverse("copying"),
                object_type=_OBJECT,
                object_id=str(provider_id),
                dedupe_key=f"{what}:{provider_id}:{since.isoformat()}",
            )  # fmt: skip


_BODIES: Final = {
    _AWAY: "What it closes now is closed on your side once it is back; what it opens meanwhile is"
    " skipped when it is older than the relationship allows. You can close your copies yourself.",
    _BACK: "What it closed meanwhile is being closed; what was opened too long ago is skipped.",
}


def _verb(names: Collection[str]) -> str:
    return "copies" if len(names) == 1 else "copy"

import json
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from channels.db import database_sync_to_async
from django.utils import timezone

from accounts.consumers import compact_json
from accounts.models import ConnectedAccount, User
from accounts.streaming import LiveConsumer
from copytrade.api.ledger_serializers import EventSerializer
from copytrade.models import CopyRelationship
from copytrade.publishing import TOPIC
from copytrade.selectors.events import newest_events
from copytrade.selectors.ledger import event_views

# As many rows of the ledger, the newest, are followed; older ones change no more, or are asked for.
ROWS_FOLLOWED: Final = 50
# What no message told is noticed by then at the latest.
LOOKS_EVERY_SECONDS: Final = 2.0
# What happened so long ago, and is over on every follower, hardly changes any more: the copies of
# thousands of followers are not counted anew for it with each look, but now and then.
SETTLED_AFTER: Final = timedelta(minutes=2)
COUNTED_ANEW_SECONDS: Final = 30.0

Row = dict[str, Any]


class CopyLedgerConsumer(LiveConsumer):
    """The newest events of a provider and the states of their copies: `copy_ledger_update`.

    At first all of the newest rows, then those that are new or have changed.
    """

    kind = TOPIC

    async def find(self) -> bool:
        self.provider_id: UUID = self.scope["url_route"]["kwargs"]["account_id"]
        self._rows: list[Row] = []
        self._told: dict[str, Row] | None = None
        self._settled: dict[UUID, Row] = {}
        self._counts_anew_at = float("-inf")
        return await _may_look(self.user, self.provider_id)

    def watched(self) -> Iterable[str]:
        return [str(self.provider_id)]

    async def copy_changed(self, _event: dict[str, Any]) -> None:
        self.outdated()

    async def reread(self) -> bool:
        if (now := time.monotonic()) >= self._counts_anew_at:
            self._settled, self._counts_anew_at = {}, now + COUNTED_ANEW_SECONDS
        rows = await _read(self.user, self.provider_id, self._settled)
        if rows is None:
            return False
        self._rows = rows
        return True

    def seconds_until_stale(self) -> float | None:
        return LOOKS_EVERY_SECONDS

    async def send_json(self) -> None:
        told = self._told
        changed = [row for row in self._rows if told is None or told.get(row["id"]) != row]
        self._told = {row["id"]: row for row in self._rows}
        if changed or told is None:
            data = {"provider_id": str(self.provider_id), "events": changed}
            await self.send(text_data=compact_json({"type": "copy_ledger_update", "data": data}))


@database_sync_to_async
def _may_look(user: User, provider_id: UUID) -> bool:
    return _is_visible(user, provider_id)


@database_sync_to_async
def _read(user: User, provider_id: UUID, settled: dict[UUID, Row]) -> list[Row] | None:
    if not _is_visible(user, provider_id):
        return None
    return newest_rows(user, provider_id, settled, now=timezone.now())


def newest_rows(
    user: User, provider_id: UUID, settled: dict[UUID, Row], *, now: datetime
) -> list[Row]:
    """Return the newest rows of a ledger; those in `settled` as they are, which takes in more."""
    events = newest_events(user, provider_id=provider_id, most=ROWS_FOLLOWED)
    moving = [event for event in events if event.pk not in settled]
    views = event_views(user, moving)
    told = json.loads(json.dumps(EventSerializer(views, many=True).data))
    fresh: dict[UUID, Row] = {view.event.pk: row for view, row in zip(views, told, strict=True)}
    rows = [settled.get(event.pk) or fresh[event.pk] for event in events]
    for view in views:
        is_over = view.event.planned_at and not (view.tally.planned or view.tally.ordered)
        if is_over and view.event.detected_at < now - SETTLED_AFTER:
            settled[view.event.pk] = fresh[view.event.pk]
    return rows


def _is_visible(user: User, provider_id: UUID) -> bool:
    """Tell whether an account is the user's own, or has been copied by one of the user's."""
    if ConnectedAccount.objects.owned_by(user).filter(pk=provider_id).exists():
        return True
    mine = CopyRelationship.objects.filter(provider=provider_id, follower__user=user)
    return mine.filter(started_at__isnull=False).exists()

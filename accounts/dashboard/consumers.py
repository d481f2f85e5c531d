import asyncio
import time
from collections.abc import Iterable
from typing import Any

from channels.db import database_sync_to_async

from accounts.consumers import compact_json
from accounts.dashboard.glances import glances
from accounts.dashboard.objects import Dashboard
from accounts.models import User
from accounts.publishing import dashboard_topic
from accounts.screen.parts import Cell
from accounts.streaming import LiveConsumer

# Equity and ages are read this often; a change of a connection or an account comes at once.
REREAD_SECONDS = 0.9


class DashboardConsumer(LiveConsumer):
    """All accounts of a user: `accounts`, then `account_connection`, `account_changed`, `summary`.

    The messages are the differences between what was told and what is: none can be lost on the way,
    and an account that is connected and lost within one glance is told as it is in the end.
    """

    kind = "dashboard"

    async def find(self) -> bool:
        self._present: Dashboard | None = None
        self._told: Dashboard | None = None
        self._cells: tuple[Cell, ...] = ()
        self._age_seconds = 0.0
        self._news_at = time.monotonic()
        return True

    def watched(self) -> Iterable[str]:
        return ()  # nobody builds anything for it

    def topics(self) -> list[str]:
        return [dashboard_topic(self.user.pk)]

    async def dashboard_changed(self, _event: dict[str, Any]) -> None:
        self._news_at = time.monotonic()
        self.outdated()

    async def reread(self) -> bool:
        await asyncio.sleep(glances.rest_seconds(self.user))
        # What another viewer has seen lately will do, unless something has changed since.
        lately = time.monotonic() - REREAD_SECONDS / 2
        not_before = max(lately, self._news_at)
        if self.is_html:
            begun_at, self._cells = await _look_at_cells(self.user, not_before)
        else:
            begun_at, self._present = await _look_at_accounts(self.user, not_before)
        self._age_seconds = time.monotonic() - begun_at
        return True

    def seconds_until_stale(self) -> float:
        return max(REREAD_SECONDS - self._age_seconds, 0.0)

    def cells(self) -> Iterable[Cell]:
        return self._cells

    async def send_json(self) -> None:
        present, told = self._present, self._told
        if present is None:
            return
        self._told = present
        if told is None:
            accounts = list(present.accounts.values())
            await self._tell({"type": "accounts", "accounts": accounts}, present.summary)
            return
        await self._tell(*present.changes_since(told))
        if present.summary != told.summary:
            await self._tell(present.summary)

    async def _tell(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            await self.send(text_data=compact_json(message))


@database_sync_to_async
def _look_at_accounts(user: User, not_before: float) -> tuple[float, Dashboard]:
    glance = glances.at(user, not_before=not_before)
    return glance.begun_at, glance.dashboard


@database_sync_to_async
def _look_at_cells(user: User, not_before: float) -> tuple[float, tuple[Cell, ...]]:
    glance = glances.at(user, not_before=not_before)
    return glance.begun_at, glance.cells

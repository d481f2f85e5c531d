from collections.abc import Iterable
from typing import Any

from channels.db import database_sync_to_async
from django.utils import timezone

from accounts.consumers import compact_json
from accounts.dashboard.objects import Dashboard, dashboard_of
from accounts.models import User
from accounts.publishing import dashboard_topic
from accounts.screen.account_rows import account_rows, dashboard_cells
from accounts.screen.parts import Cell
from accounts.selectors import accounts_of
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
        return True

    def watched(self) -> Iterable[str]:
        return ()  # nobody builds anything for it

    def topics(self) -> list[str]:
        return [dashboard_topic(self.user.pk)]

    async def dashboard_changed(self, _event: dict[str, Any]) -> None:
        self.outdated()

    async def reread(self) -> bool:
        if self.is_html:
            self._cells = await _read_cells(self.user)
        else:
            self._present = await _read_dashboard(self.user)
        return True

    def seconds_until_stale(self) -> float:
        return REREAD_SECONDS

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
def _read_dashboard(user: User) -> Dashboard:
    return dashboard_of(user, now=timezone.now())


@database_sync_to_async
def _read_cells(user: User) -> tuple[Cell, ...]:
    now = timezone.now()
    return dashboard_cells(account_rows(accounts_of(user), now=now))

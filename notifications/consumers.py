import json
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.template.loader import render_to_string

from accounts.consumers import (
    NOT_SIGNED_IN,
    accept_signed_in,
    compact_json,
    is_still_signed_in,
)
from accounts.models import User
from accounts.screen.cells import connection_cell
from accounts.screen.parts import Cell, short
from notifications.selectors import count_unread

LEVELS = {"urgent": "error", "high": "error", "medium": "info", "low": "info"}


class NotificationConsumer(AsyncWebsocketConsumer):
    """What a user is told: `notification` for programs, the bell and toasts for the pages."""

    async def connect(self) -> None:
        self._topic = ""
        user = await accept_signed_in(self)
        if user is None:
            return
        self.user = user
        self.is_html = b"format=html" in self.scope["query_string"]
        self._topic = f"user.{user.pk}"
        await self.channel_layer.group_add(self._topic, self.channel_name)
        if self.is_html:
            await self._send_count(await _count_unread(user))

    async def disconnect(self, code: int) -> None:  # noqa: ARG002  # signature of channels
        if self._topic:
            await self.channel_layer.group_discard(self._topic, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Nothing is listened to."""

    async def user_notification(self, event: dict[str, Any]) -> None:
        if not await self._may_look():
            return
        notification = json.loads(event["payload"])
        unread = await _count_unread(self.user)
        if not self.is_html:
            update = {"type": "notification", "data": {**notification, "unread": unread}}
            await self.send(text_data=compact_json(update))
            return
        context = {
            "level": LEVELS.get(notification["priority"], "info"),
            "title": notification["title"],
            "fold": _fold(notification),
            "body": notification["body"],
            "link": notification["link"],
        }
        await self.send(text_data=render_to_string("notifications/toast.html", context))
        await self._send_count(unread)

    async def user_account_connection(self, event: dict[str, Any]) -> None:
        if not await self._may_look():
            return
        connection = json.loads(event["payload"])
        if not self.is_html:
            await self.send(
                text_data=compact_json({"type": "account_connection", "data": connection})
            )
            return
        cell = connection_cell(
            f"a{short(connection['account_id'])}-link", connection["state"], age_seconds=0.0
        )
        await self.send(text_data=compact_json([cell.patch()]))

    async def _may_look(self) -> bool:
        if await is_still_signed_in(self):
            return True
        await self.close(code=NOT_SIGNED_IN)
        return False

    async def _send_count(self, unread: int) -> None:
        text = "" if unread == 0 else "99+" if unread > 99 else str(unread)
        cell = Cell("bell-count", (text,), "none" if unread == 0 else "some")
        await self.send(text_data=compact_json([cell.patch()]))


def _fold(notification: dict[str, Any]) -> str:
    """Name what is told alike of many accounts, as "Alpha 1: done" is: pages fold it into one."""
    return f"{notification['type']}: {notification['title'].rpartition(': ')[2]}"


@database_sync_to_async
def _count_unread(user: User) -> int:
    return count_unread(user=user)

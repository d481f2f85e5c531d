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
from notifications.models import Priority
from notifications.selectors import count_unread

LEVELS = {"urgent": "error", "high": "error", "medium": "info", "low": "info"}
# More than these at once would cover the page that they are about.
TOASTS_AT_ONCE = 5
CENTRE = "/notifications"
MOST_COUNTED = 100  # the bell says "99+"


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
            await self._send_count(await _count_unread(user, MOST_COUNTED))

    async def disconnect(self, code: int) -> None:  # noqa: ARG002  # signature of channels
        if self._topic:
            await self.channel_layer.group_discard(self._topic, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Nothing is listened to."""

    async def user_notifications(self, event: dict[str, Any]) -> None:
        """Take what one user is told at once: each for a program, the foremost for a page."""
        if not await self._may_look():
            return
        told: list[dict[str, Any]] = json.loads(event["payload"])
        if self.is_html:
            await self._send_toasts([each for each in told if not each["is_silent"]])
            await self._send_count(await _count_unread(self.user, MOST_COUNTED))
            return
        unread = await _count_unread(self.user)
        for notification in told:
            update = {"type": "notification", "data": {**notification, "unread": unread}}
            await self.send(text_data=compact_json(update))

    async def _send_toasts(self, told: list[dict[str, Any]]) -> None:
        foremost = sorted(told, key=lambda each: -Priority(each["priority"]).rank)[:TOASTS_AT_ONCE]
        for each in foremost:
            await self._send_toast(
                level=LEVELS[each["priority"]],
                title=each["title"],
                body=each["body"],
                link=each["link"],
                fold=_fold(each),
            )
        if more := len(told) - len(foremost):
            noun = "notification" if more == 1 else "notifications"
            await self._send_toast(
                level="info", title=f"{more} more {noun}", body="", link=CENTRE, fold="more"
            )

    async def _send_toast(self, **context: str) -> None:
        await self.send(text_data=render_to_string("notifications/toast.html", context))

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
        most = MOST_COUNTED - 1
        text = "" if unread == 0 else f"{most}+" if unread > most else str(unread)
        cell = Cell("bell-count", (text,), "none" if unread == 0 else "some")
        await self.send(text_data=compact_json([cell.patch()]))


def _fold(notification: dict[str, Any]) -> str:
    """Name what is told alike of many accounts, as "Alpha 1: done" is: pages fold it into one."""
    return f"{notification['type']}: {notification['title'].rpartition(': ')[2]}"


@database_sync_to_async
def _count_unread(user: User, at_most: int | None = None) -> int:
    return count_unread(user=user, at_most=at_most)

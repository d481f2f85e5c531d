import json
from typing import Any

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from accounts.models import User

NOT_SIGNED_IN = 4401
NOT_FOUND = 4404


class NothingHereConsumer(AsyncWebsocketConsumer):
    """Any address that is none: closed with 4404, as somebody else's rows are."""

    async def connect(self) -> None:
        await self.accept()
        await self.close(code=NOT_FOUND)


async def accept_signed_in(consumer: AsyncWebsocketConsumer) -> User | None:
    """Accept a socket and return its user; one that is not signed in is closed with 4401.

    Accepted first, because a refused handshake would hide the code from a browser.
    """
    await consumer.accept()
    user: object = consumer.scope.get("user")
    if isinstance(user, User) and user.is_active:
        return user
    await consumer.close(code=NOT_SIGNED_IN)
    return None


async def is_still_signed_in(consumer: AsyncWebsocketConsumer) -> bool:
    """Tell whether who opened this socket may still look: no log-out, no new password.

    A program's token opens sockets for as long as it is valid; those that are open stay open.
    """
    scope: Any = consumer.scope
    if (recheck := scope.get("recheck")) is not None:
        return bool(await database_sync_to_async(recheck)())
    session = scope.get("session")
    if session is None:
        return True
    if not await database_sync_to_async(session.exists)(session.session_key):
        return False
    user: object = await get_user(scope)
    return isinstance(user, User) and user.is_active


def compact_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

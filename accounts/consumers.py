import json

from channels.generic.websocket import AsyncWebsocketConsumer

from accounts.models import User

NOT_SIGNED_IN = 4401


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


def compact_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

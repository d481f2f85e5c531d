"""A client of the live sockets, in the same event loop as their consumers."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Self

from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator


class LiveSocket:
    """A client of one address, signed in as `user`."""

    def __init__(
        self, routes: Sequence[Any], path: str, user: object, session: object = None
    ) -> None:
        communicator_of: Any = WebsocketCommunicator  # the package has no types
        self._communicator = communicator_of(URLRouter(list(routes)), path)
        self._communicator.scope["user"] = user
        if session is not None:
            self._communicator.scope["session"] = session

    async def open(self) -> Self:
        accepted, _ = await self._communicator.connect(timeout=5)
        assert accepted
        return self

    async def text(self) -> str:
        return str(await self._communicator.receive_from(timeout=5))

    async def json(self) -> Any:
        return json.loads(await self.text())

    async def until(self, is_it: Callable[[str], bool]) -> str:
        """Return the next message that fits; what comes before it is only heartbeats and ages."""
        while True:
            text = await self.text()
            if is_it(text):
                return text

    async def until_json(self, is_it: Callable[[Any], bool]) -> Any:
        return json.loads(await self.until(lambda text: is_it(json.loads(text))))

    async def told(self, kind: str) -> Any:
        """Return the next message of this type."""
        return await self.until_json(lambda message: message["type"] == kind)

    async def say(self, text: str) -> None:
        await self._communicator.send_to(text_data=text)

    async def closing_code(self) -> int:
        while True:
            message = await self._communicator.receive_output(timeout=5)
            if message["type"] == "websocket.close":
                return int(message["code"])

    async def close(self) -> None:
        await self._communicator.disconnect(timeout=5)

from typing import Any

import pytest
from channels.testing import WebsocketCommunicator

from tradeguard.protocols import application


@pytest.mark.parametrize("path", ["/ws/nosuch", "/ws/group/x", "/ws/account/", "/", "/ws/groups/x"])
async def test_it_closes_sockets_of_addresses_that_are_none(path: str) -> None:
    communicator_of: Any = WebsocketCommunicator  # the package has no types
    page = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    socket = communicator_of(application, path, headers=page)
    accepted, _ = await socket.connect(timeout=5)
    assert accepted
    assert (await socket.receive_output(timeout=5))["code"] == 4404

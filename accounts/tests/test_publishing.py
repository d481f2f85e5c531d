import asyncio
import threading
from typing import Any

import pytest

from accounts import publishing
from accounts.publishing import MAX_BATCHES_UNDER_WAY, Publisher

PATIENCE_SECONDS = 10.0


class Layer:
    """A channel layer that can be held up, and refuses what is called "bad"."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.is_open = threading.Event()
        self.is_open.set()
        self.has_last = threading.Event()
        self.has_begun = threading.Event()

    async def group_send(self, group: str, _message: dict[str, Any]) -> None:
        self.has_begun.set()
        while not self.is_open.is_set():
            await asyncio.sleep(0.001)
        if group == "bad":
            raise ConnectionError("Redis is away")
        self.sent.append(group)
        if group == "last":
            self.has_last.set()


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    layer = Layer()
    monkeypatch.setattr(publishing, "get_channel_layer", lambda: layer)
    return layer


def test_it_sends_in_order(layer: Layer) -> None:
    publisher = Publisher()
    for name in ("one", "two", "last"):
        publisher.publish([(name, {})])
    assert layer.has_last.wait(PATIENCE_SECONDS)
    assert layer.sent == ["one", "two", "last"]
    assert publisher.dropped == 0


def test_it_goes_on_after_a_message_that_could_not_be_sent(
    layer: Layer, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher()
    publisher.publish([("bad", {}), ("good", {})])
    publisher.publish([("last", {})])
    assert layer.has_last.wait(PATIENCE_SECONDS)
    assert layer.sent == ["good", "last"]
    assert "Redis is away" in caplog.text


def test_it_drops_the_oldest_when_redis_does_not_keep_up(layer: Layer) -> None:
    publisher = Publisher()
    layer.is_open.clear()
    publisher.publish([("held", {})])
    assert layer.has_begun.wait(PATIENCE_SECONDS)
    for number in range(MAX_BATCHES_UNDER_WAY + 3):
        publisher.publish([(str(number), {})])
    publisher.publish([("last", {})])
    publisher._running_loop().call_soon_threadsafe(layer.is_open.set)
    assert layer.has_last.wait(PATIENCE_SECONDS)
    assert publisher.dropped == 4
    assert layer.sent[:2] == ["held", "4"]


def test_it_gives_a_batch_up_that_hangs(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "SEND_SECONDS", 0.01)
    publisher = Publisher()
    layer.is_open.clear()
    publisher.publish([("hung", {})])
    assert layer.has_begun.wait(PATIENCE_SECONDS)
    monkeypatch.setattr(publishing, "SEND_SECONDS", PATIENCE_SECONDS)
    publisher.publish([("last", {})])
    failed = threading.Event()
    monkeypatch.setattr(publishing.logger, "warning", lambda *_args: failed.set())
    assert failed.wait(PATIENCE_SECONDS)
    layer.is_open.set()
    assert layer.has_last.wait(PATIENCE_SECONDS)
    assert layer.sent == ["last"]


def test_it_outlives_a_layer_that_cannot_be_had(
    layer: Layer, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = iter([None, layer])
    monkeypatch.setattr(publishing, "get_channel_layer", lambda: next(layers))
    publisher = Publisher()
    publisher.publish([("lost", {})])
    publisher.publish([("last", {})])
    assert layer.has_last.wait(PATIENCE_SECONDS)

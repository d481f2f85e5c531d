"""Messages from workers to the sockets of the web processes.

`async_to_sync(group_send)` opens a new connection for every call (2 ms); one event loop that lives
as long as its process sends a batch for a tenth of that.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from channels.layers import get_channel_layer
from django.db import transaction
from redis import RedisError

from accounts.redis import redis_client, watched_key

logger = logging.getLogger(__name__)

Message = tuple[str, dict[str, Any]]
WATCH_LAPSES_SECONDS = 15.0
# More batches than this under way means that Redis does not keep up; the next one is newer anyway.
MAX_BATCHES_UNDER_WAY = 20
SEND_SECONDS = 5.0
COMPLAIN_SECONDS = 60.0


class Publisher:
    """Sends batches of channel-layer messages from synchronous code, in order, never raising."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._queue: asyncio.Queue[Sequence[Message]]
        self.dropped = 0

    def publish(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        loop = self._running_loop()
        loop.call_soon_threadsafe(self._enqueue, messages)

    def _enqueue(self, messages: Sequence[Message]) -> None:
        if self._queue.qsize() >= MAX_BATCHES_UNDER_WAY:
            self._queue.get_nowait()
            self.dropped += 1
        self._queue.put_nowait(messages)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._queue = asyncio.Queue()
                threading.Thread(
                    target=self._run, args=(self._loop,), name="publisher", daemon=True
                ).start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(self._send_forever())

    async def _send_forever(self) -> None:
        complained_at = float("-inf")
        while True:
            messages = await self._queue.get()
            failure = await _sent(messages)
            if failure is not None and time.monotonic() - complained_at > COMPLAIN_SECONDS:
                complained_at = time.monotonic()
                logger.warning(
                    "Live messages were not sent, %d batches were dropped so far: %r",
                    self.dropped,
                    failure,
                )


async def _sent(messages: Sequence[Message]) -> BaseException | None:
    """Send a batch and return what went wrong, if anything did."""
    try:
        layer: Any = get_channel_layer()
        # A Redis that hangs must not hold up what is sent when it is back.
        async with asyncio.timeout(SEND_SECONDS):
            results = await asyncio.gather(
                *(layer.group_send(group, message) for group, message in messages),
                return_exceptions=True,
            )
    except Exception as error:  # the thread that sends must outlive whatever happens
        return error
    return next((result for result in results if isinstance(result, BaseException)), None)


_publisher = Publisher()


def publish(group: str, message: dict[str, Any]) -> None:
    """Send one message to a channel group; lost, with a warning, when Redis is away."""
    _publisher.publish([(group, message)])


def publish_many(messages: Sequence[Message]) -> None:
    """Send a batch of messages in one go."""
    _publisher.publish(messages)


def dashboard_topic(user_id: int) -> str:
    return f"dashboard.{user_id}"


def publish_dashboards(user_ids: Iterable[int]) -> None:
    """Have the open dashboards of these users look again."""
    publish_many(
        [(dashboard_topic(user_id), {"type": "dashboard.changed"}) for user_id in set(user_ids)]
    )


def publish_dashboard_on_commit(user_id: int) -> None:
    """Have the user's open dashboards look again once this transaction is written.

    Robust: a message that is lost costs a dashboard less than a second.
    """
    transaction.on_commit(lambda: publish_dashboards([user_id]), robust=True)


async def watch(kind: str, object_id: object) -> None:
    """Say that somebody looks at this group or account, for the next 15 seconds."""
    await asyncio.to_thread(mark_watched, kind, str(object_id))


def mark_watched(kind: str, object_id: str) -> None:
    try:
        redis_client().zadd(watched_key(kind), {object_id: time.time() + WATCH_LAPSES_SECONDS})
    except RedisError as error:
        logger.warning("Could not say that %s %s is watched: %s", kind, object_id, error)

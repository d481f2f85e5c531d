"""What the live sockets have in common: who may look, how often, and what is told when.

A consumer shows the newest object it was sent, at most five times a second. On a timer of its own
it keeps ages moving and, as soon as a reading must be stale, reads the hot state itself: a dead
worker says nothing, and nothing is exactly what must be noticed.
"""

import asyncio
import logging
import math
import time
import zoneinfo
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs

from autobahn.exception import Disconnected
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from accounts.consumers import (
    NOT_FOUND,
    NOT_SIGNED_IN,
    accept_signed_in,
    compact_json,
    is_still_signed_in,
)
from accounts.publishing import watch
from accounts.screen.parts import Cell, Part, Screen
from accounts.terminals.readings import STALE_AFTER_SECONDS

logger = logging.getLogger(__name__)

SHORTEST_INTERVAL_SECONDS = 0.2
HEARTBEAT_SECONDS = 0.5
WATCH_EVERY_SECONDS = 5.0
# When nothing is fresh any more, messages bring what is new; this is only for lost ones.
REREAD_UNKNOWN_SECONDS = 5.0
FAILED = 1011

RiskObject = dict[str, Any]


class LiveConsumer(AsyncWebsocketConsumer, ABC):
    """Keeps one viewer up to date about one subject; `?format=html` is for the pages."""

    kind: ClassVar[str]

    async def connect(self) -> None:
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._topics: list[str] = []
        self._seen_at = time.monotonic()
        user = await accept_signed_in(self)
        if user is None:
            return
        self.user = user
        self.is_html = "html" in self._query("format")
        self._screen = Screen(_structures(self._query("have")))
        if not await self.find():
            await self.close(code=NOT_FOUND)
            return
        self._topics = self.topics()
        for topic in self._topics:
            await self.channel_layer.group_add(topic, self.channel_name)
        self._task = asyncio.create_task(self._run())

    async def disconnect(self, code: int) -> None:  # noqa: ARG002  # signature of channels
        if self._task is not None:
            self._task.cancel()
        for topic in self._topics:
            await self.channel_layer.group_discard(topic, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Start anew for a page that could not take a fragment; nothing else is listened to."""
        if self.is_html and text_data and not bytes_data and "resync" in text_data[:64]:
            self._screen = Screen()
            self._wake.set()

    @abstractmethod
    async def find(self) -> bool:
        """Find what is watched, among what belongs to the user."""

    @abstractmethod
    def watched(self) -> Iterable[str]:
        """Return the ids that workers shall build objects for."""

    def topics(self) -> list[str]:
        """Return the groups of the channel layer that bring the news."""
        return [f"{self.kind}.{each}" for each in self.watched()]

    @abstractmethod
    async def reread(self) -> bool:
        """Read the present state from the hot state; False when the subject is gone."""

    @abstractmethod
    def seconds_until_stale(self) -> float | None:
        """Return how long the last object can be believed, None when nothing in it is fresh."""

    def parts(self, elapsed_seconds: float) -> list[Part]:  # noqa: ARG002  # some show cells alone
        """Return the parts of the page, with ages `elapsed_seconds` higher than in the object."""
        return []

    def cells(self) -> Iterable[Cell]:
        """Return cells of the page that lie in none of its parts."""
        return ()

    @abstractmethod
    async def send_json(self) -> None:
        """Send the newest object to a program."""

    def noted(self) -> None:
        """Wake the timer: a new object has come."""
        self._seen_at = time.monotonic()
        self._wake.set()

    def outdated(self) -> None:
        """Wake the timer: the present state has to be read again."""
        self._seen_at = -math.inf
        self._wake.set()

    async def _run(self) -> None:
        try:
            await self._follow()
        except asyncio.CancelledError:
            raise
        except Disconnected:
            pass  # the viewer left while something was on its way; `disconnect` follows
        except Exception:
            # The client sees a lost connection, greys its numbers and comes back.
            logger.exception("The live view of %s failed.", ", ".join(self._topics[:3]))
            await self.close(code=FAILED)

    async def _follow(self) -> None:
        watched_at = -WATCH_EVERY_SECONDS
        is_new: bool | None = await self._reread()
        while is_new is not None:
            now = time.monotonic()
            if now - watched_at >= WATCH_EVERY_SECONDS:
                watched_at = now
                if not await is_still_signed_in(self):
                    await self.close(code=NOT_SIGNED_IN)
                    return
                await asyncio.gather(*(watch(self.kind, each) for each in self.watched()))
            await self._show(is_new=is_new)
            await asyncio.sleep(SHORTEST_INTERVAL_SECONDS)
            is_new = await self._next()
        await self.close(code=NOT_FOUND)

    async def _next(self) -> bool | None:
        """Wait for what comes next: True something new, False only time, None the end."""
        until_overdue = self._overdue_after() - (time.monotonic() - self._seen_at)
        patience = min(HEARTBEAT_SECONDS - SHORTEST_INTERVAL_SECONDS, max(until_overdue, 0.0))
        is_new = await self._woken(patience)
        is_overdue = time.monotonic() - self._seen_at >= self._overdue_after()
        return await self._reread() if is_overdue else is_new

    async def _woken(self, seconds: float) -> bool:
        if not self._wake.is_set():
            try:
                await asyncio.wait_for(self._wake.wait(), seconds)
            except TimeoutError:
                return False
        self._wake.clear()
        return True

    def _overdue_after(self) -> float:
        left = self.seconds_until_stale()
        return REREAD_UNKNOWN_SECONDS if left is None else left

    async def _reread(self) -> bool | None:
        began_at = time.monotonic()
        self._seen_at = began_at
        if not await self.reread():
            return None
        # News that came meanwhile may be missing in what was read: then once more.
        if self._seen_at == began_at:
            self._seen_at = time.monotonic()
        return True

    async def _show(self, *, is_new: bool) -> None:
        if not self.is_html:
            if is_new:
                await self.send_json()
            return
        with timezone.override(zoneinfo.ZoneInfo(self.user.time_zone)):
            parts = self.parts(time.monotonic() - self._seen_at)
            fragments, patches = self._screen.update(parts, self.cells())
        if fragments:
            await self.send(text_data=fragments)
        # An empty list is the heartbeat: the page must hear from us, or it greys its numbers.
        await self.send(text_data=compact_json(patches))

    def _query(self, name: str) -> list[str]:
        return parse_qs(self.scope["query_string"].decode("latin-1")).get(name, [])


def freshest_seconds(ages: Iterable[float | None]) -> float | None:
    """Return how long the oldest of the fresh ages stays fresh."""
    fresh = [age for age in ages if age is not None and age <= STALE_AFTER_SECONDS]
    return STALE_AFTER_SECONDS - max(fresh) if fresh else None


def _structures(values: list[str]) -> Mapping[str, str]:
    """Read which parts a page holds already: "live-banner:1f,group-matrix:2e"."""
    pairs = (item.split(":", 1) for value in values for item in value.split(",") if ":" in item)
    return dict(pairs)

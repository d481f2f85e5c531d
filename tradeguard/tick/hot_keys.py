"""The keys of the hot state that mirror the database: who copies whom, and orders on their way."""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from django.db import DatabaseError, InterfaceError, connections
from redis import RedisError

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.key_mirror import KeyMirror, Value
from accounts.redis import mirror_key
from accounts.sessions.poll import Poll
from copytrade import hot_keys as copies
from risk.orders import hot_keys as orders
from risk.orders.doubts import forget_connection
from risk.orders.drafts import is_our_tag

logger = logging.getLogger(__name__)

ROUND_SECONDS: Final = 1.0
# Accounts may go to another host, which no relationship tells.
FULL_ROUNDS: Final = 10
# However fast orders end, others shall have the processor in between.
SHORTEST_SECONDS: Final = 0.2


class MirroredKeys:
    """Writes these keys of one host when they change; `write` is for one thread."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._copies = KeyMirror(mirror_key(copies.REGISTER, host))
        self._copy_mark: object = None
        self._copy_keys: Mapping[str, Value] = {}
        self._rounds = 0
        self._orders = KeyMirror(mirror_key(orders.REGISTER, host))

    def write(self, now: datetime, waiting_tags: set[int] | None = None) -> int:
        """Write what changed; return how many keys that were.

        Raises redis.RedisError and database errors; the next call makes up for it.
        """
        mark = copies.copy_mark()
        if mark != self._copy_mark or self._rounds % FULL_ROUNDS == 0:
            self._copy_keys = copies.copy_keys(self.host)
            self._copy_mark = mark
        self._rounds += 1
        changed = self._copies.write(self._copy_keys)
        RIGHT_OF_WAY.give()
        return changed + self._orders.write(orders.order_keys(self.host, waiting_tags, now))


class HotKeysDesk:
    """Keeps the mirrored keys of a host beside its tick.

    `take` is for the tick's thread, `wake` for any. With `is_inline` all is done in `take`.
    """

    def __init__(
        self, host: str, *, is_inline: bool = False, begin: Callable[[], None] = lambda: None
    ) -> None:
        self._keys = MirroredKeys(host)
        self._is_inline = is_inline
        self._begin = begin
        self._poll: Poll | None = None
        self._written_at = float("-inf")
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{host}-hot-keys", daemon=True)

    def take(self, poll: Poll) -> None:
        """Keep the keys by what this poll shows; returns at once unless the desk is inline."""
        self._poll = poll
        if self._is_inline:
            if self._wake.is_set() or poll.monotonic - self._written_at >= ROUND_SECONDS:
                self._wake.clear()
                self._written_at = poll.monotonic
                self._write()
        elif not self._thread.is_alive() and not self._closing.is_set():
            self._thread.start()

    def wake(self) -> None:
        """Write soon: something has changed."""
        self._wake.set()

    def close(self, timeout_seconds: float = 5.0) -> None:
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            self._begin()
            while not self._closing.is_set():
                RIGHT_OF_WAY.give()
                try:
                    self._write()
                except Exception:
                    logger.exception("The mirrored keys could not be written.")
                self._closing.wait(SHORTEST_SECONDS)
                self._wake.wait(ROUND_SECONDS - SHORTEST_SECONDS)
                self._wake.clear()
        finally:
            connections.close_all()

    def _write(self) -> None:
        poll = self._poll
        if poll is None:
            return
        magics = set(map(int, poll.batch.orders["magic"]))
        try:
            self._keys.write(poll.now, {magic for magic in magics if is_our_tag(magic)})
        except RedisError as error:
            logger.debug("The mirrored keys wait for Redis: %s", error)
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("The mirrored keys wait for the database: %s", error)

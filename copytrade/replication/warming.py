"""Keeps known what events will ask about symbols, so that none has to wait for a terminal."""

import logging
import math
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from datetime import datetime
from functools import partial
from typing import Any, Final

from accounts.terminals.link import LinkError
from copytrade.replication.markets import (
    COMMISSION_SECONDS,
    MARGIN_SECONDS,
    NAMES_SECONDS,
    QUOTE_SECONDS,
    Kind,
    Markets,
)

logger = logging.getLogger(__name__)

# How often to call `Warmth.keep`: twice while a quote counts, for a thread may come late.
WARM_SECONDS: Final = QUOTE_SECONDS / 2
# Of more than these the ones that were of use last are asked about.
MOST_KEPT: Final = 32
# What changes seldom is asked for anew well before it is too old, and not all the time.
_EARLY: Final = 0.6
AGAIN_SECONDS: Final = 5.0


class Warmth:
    """Asks the terminals of this host anew about what was of use within the hour.

    Nobody waits for the answers: each takes its place when it comes, and until then, or without
    one, `Markets` asks by itself. `keep` is for one thread.
    """

    def __init__(self, markets: Markets) -> None:
        self._markets = markets
        self._asking: set[Hashable] = set()
        self._asked: dict[Hashable, float] = {}  # what changes seldom
        self._lock = threading.Lock()

    def keep(self, now: datetime) -> None:
        """Ask for the quotes of now, and for the rest of what is about to be too old."""
        here = [used for used in self._markets.in_use() if not used[0].host]
        for kind, symbol, login in here[:MOST_KEPT]:
            names, margins, commission = self._markets.ages(kind, symbol)
            self._ask_quote(kind, symbol, login)
            if names > _EARLY * NAMES_SECONDS and self._is_time(kind.server):
                self._ask_names(kind.server, login)
            if margins > _EARLY * MARGIN_SECONDS and self._is_time((kind, symbol)):
                self._ask_margins(kind, symbol, login)
            if commission > _EARLY * COMMISSION_SECONDS:
                self._markets.learn_commission(kind, symbol, now)

    def _is_time(self, key: Hashable) -> bool:
        """Tell whether that was not asked a moment ago; it is now."""
        moment = self._markets.monotonic()
        if moment - self._asked.get(key, -math.inf) < AGAIN_SECONDS:
            return False
        if len(self._asked) > 2 * MOST_KEPT:
            self._asked.clear()
        self._asked[key] = moment
        return True

    def _ask_quote(self, kind: Kind, symbol: str, login: int) -> None:
        asked_at = self._markets.monotonic()

        def learn(row: Any) -> None:
            self._markets.learn(kind, symbol, row, asked_at)

        self._ask((kind, symbol), learn, "symbol_info", login, symbol)

    def _ask_names(self, server: str, login: int) -> None:
        asked_at = self._markets.monotonic()

        def learn(rows: Any) -> None:
            if rows is not None:
                self._markets.learn_names(server, rows, asked_at)

        self._ask(server, learn, "symbols", login, None)

    def _ask_margins(self, kind: Kind, symbol: str, login: int) -> None:
        """Ask what a lot takes either way; what only one of them says is not taken in."""
        terms = self._markets.terms_known(kind, symbol)
        if terms is None or min(terms.bid, terms.ask) <= 0:
            return
        asked_at = self._markets.monotonic()
        told: dict[int, float | None] = {}

        def learn(side: int, margin: Any) -> None:
            told[side] = None if margin is None else float(margin)
            if len(told) == 2:
                self._markets.learn_margins(kind, symbol, told[0], told[1], asked_at)

        for side, price in enumerate((terms.ask, terms.bid)):
            key = kind, symbol, side
            method = "order_calc_margin"
            self._ask(key, partial(learn, side), method, login, side, symbol, 1.0, price)

    def _ask(
        self, key: Hashable, learn: Callable[[Any], None], method: str, *arguments: Any
    ) -> None:
        """Ask unless that is under way."""
        with self._lock:
            if key in self._asking:
                return
            self._asking.add(key)
        answer = self._markets.source.submit(method, *arguments)
        answer.add_done_callback(partial(self._answered, key, learn))

    def _answered(self, key: Hashable, learn: Callable[[Any], None], answer: "Future[Any]") -> None:
        with self._lock:
            self._asking.discard(key)
        try:
            learn(answer.result())
        except LinkError as error:
            logger.debug("Nothing new is known of %s: %s", key, error)
        except Exception:
            logger.exception("What a terminal says of %s cannot be taken in.", key)

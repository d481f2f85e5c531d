"""The terms of symbols: asked of the terminal on its host, handed to the web through Redis.

A page that needs terms says so in a set that lapses; the host's worker looks at it each second,
off the tick, asks the terminal and writes the answer where the page waits for it.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack
from redis import RedisError

from accounts.core.zones import broker_zone, to_broker_epoch
from accounts.market_history import Calls, HistoryUnavailableError, daily_bars, symbol_row
from accounts.redis import redis_client
from accounts.symbol_terms import SymbolTerms

logger = logging.getLogger(__name__)

# Prices and tick values move; what the broker charges for a lot follows them more slowly.
REFRESH_SECONDS: Final = 3.0
MARGIN_REFRESH_SECONDS: Final = 30.0
SYMBOLS_REFRESH_SECONDS: Final = 3600.0
DAYS_REFRESH_SECONDS: Final = 6 * 3600.0
DAYS_BACK: Final = 110  # calendar days that hold more than 60 trading days
# A page that waits asks again before its wish lapses.
WANTED_SECONDS: Final = 15.0
# What the web still takes as the present price.
FRESH_SECONDS: Final = 6.0
WAIT_SECONDS: Final = 1.0
_LOOK_AGAIN_SECONDS: Final = 0.05
_KEPT_SECONDS: Final = 3600
_MOST_PER_SWEEP: Final = 100
_BUY, _SELL = 0, 1
_NAME_PLACE: Final = 93  # in a SymbolInfo row
_DAY_SECONDS: Final = 86_400
# What is asked for: [kind, server, login, symbol, zone].
_TERMS, _NAMES, _DAYS = "terms", "names", "days"
_Wish = tuple[str, str, int, str, str]


@dataclass(frozen=True, slots=True)
class SymbolDays:
    """What a symbol is: its base and profit currency, and its closes by day (since the epoch)."""

    currencies: tuple[str, str]
    closes: Mapping[int, float] = field(repr=False)


def terms_key(server: str) -> str:
    return f"symbol_terms:{{{server}}}"


def symbols_key(server: str) -> str:
    return f"symbol_names:{{{server}}}"


def days_key(server: str) -> str:
    return f"symbol_days:{{{server}}}"


def wanted_key(host: str) -> str:
    return f"symbol_terms_wanted:{{{host}}}"


class TermsBook:
    """The terms that the terminals of one host tell, each asked for when it is needed.

    Calls of a terminal may take a while: never used from the tick itself. Any thread may ask.
    """

    def __init__(
        self,
        source: Calls,
        host: str,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._host = host
        self._clock = clock
        self._monotonic = monotonic
        self._terms: dict[tuple[int, str], tuple[float, SymbolTerms]] = {}
        self._margins: dict[tuple[int, str], tuple[float, float | None, float | None]] = {}
        self._names_at: dict[str, float] = {}
        self._days_at: dict[tuple[str, str], float] = {}

    def terms(self, login: int, symbol: str) -> SymbolTerms | None:
        """Return a symbol's terms as an account sees them, a few seconds old at most.

        None when the terminal does not know the symbol or does not answer.
        """
        known = self._terms.get((login, symbol))
        now = self._monotonic()
        if known is not None and now - known[0] < REFRESH_SECONDS:
            return known[1]
        try:
            row = symbol_row(self._source, login, symbol)
        except HistoryUnavailableError as error:
            logger.info("The terms of %s are not known for %s: %s", symbol, login, error)
            return None
        terms = SymbolTerms.from_row(row, read_at=self._clock())
        buy, sell = self._margin(login, symbol, terms, now)
        terms = SymbolTerms.from_row(row, read_at=terms.read_at, margin_buy=buy, margin_sell=sell)
        self._terms[login, symbol] = now, terms
        return terms

    def refresh_wanted(self) -> int:
        """Write the terms that somebody waits for; return how many that were.

        Robust: without Redis there is nobody to hand them to.
        """
        try:
            wanted = self._wanted()
            for kind, server, login, symbol, zone in wanted:
                if kind == _TERMS:
                    self._hand_over(server, login, symbol)
                elif kind == _NAMES:
                    self._hand_over_names(server, login)
                else:
                    self._hand_over_days(server, login, symbol, zone)
        except RedisError as error:
            logger.warning("Nobody can be told the terms of symbols: %s", error)
            return 0
        return len(wanted)

    def _wanted(self) -> list[_Wish]:
        now = self._clock()
        pipeline = redis_client().pipeline(transaction=False)
        pipeline.zrangebyscore(wanted_key(self._host), now, "+inf", start=0, num=_MOST_PER_SWEEP)
        pipeline.zremrangebyscore(wanted_key(self._host), "-inf", now)
        members: list[Any] = pipeline.execute()[0]
        return [tuple(msgpack.unpackb(member)) for member in members]

    def _hand_over(self, server: str, login: int, symbol: str) -> None:
        terms = self.terms(login, symbol)
        if terms is None:
            return
        pipeline = redis_client().pipeline(transaction=False)
        pipeline.hset(terms_key(server), mapping={_field(login, symbol): terms.packed()})
        pipeline.expire(terms_key(server), _KEPT_SECONDS)
        pipeline.execute()

    def _hand_over_names(self, server: str, login: int) -> None:
        now = self._monotonic()
        is_recent = now - self._names_at.get(server, float("-inf")) < SYMBOLS_REFRESH_SECONDS
        if is_recent and redis_client().exists(symbols_key(server)):
            return
        try:
            rows = self._source.call("symbols", login, None)
        except Exception as error:  # whatever a line to a terminal breaks with
            logger.info("The symbols of %s are not known: %s", server, error)
            return
        if not rows:
            return
        self._names_at[server] = now
        names = sorted(str(row[_NAME_PLACE]) for row in rows)
        redis_client().set(symbols_key(server), msgpack.packb(names), ex=24 * _KEPT_SECONDS)

    def _hand_over_days(self, server: str, login: int, symbol: str, zone: str) -> None:
        now = self._monotonic()
        is_recent = now - self._days_at.get((server, symbol), float("-inf")) < DAYS_REFRESH_SECONDS
        if is_recent and redis_client().hexists(days_key(server), symbol):
            return
        try:
            terms = SymbolTerms.from_row(symbol_row(self._source, login, symbol))
            today = to_broker_epoch(self._clock(), broker_zone(zone))
            bars = daily_bars(self._source, login, symbol, today, DAYS_BACK)
        except (HistoryUnavailableError, ValueError) as error:
            logger.info("The days of %s are not known: %s", symbol, error)
            return
        self._days_at[server, symbol] = now
        days = (bars["time"] // _DAY_SECONDS).tolist() if len(bars) else []
        closes = bars["close"].tolist() if len(bars) else []
        told = [terms.currency_base, terms.currency_profit, days, closes]
        pipeline = redis_client().pipeline(transaction=False)
        pipeline.hset(days_key(server), symbol, msgpack.packb(told))
        pipeline.expire(days_key(server), 24 * _KEPT_SECONDS)
        pipeline.execute()

    def _margin(
        self, login: int, symbol: str, terms: SymbolTerms, now: float
    ) -> tuple[float | None, float | None]:
        known = self._margins.get((login, symbol))
        if known is not None and now - known[0] < MARGIN_REFRESH_SECONDS:
            return known[1], known[2]
        buy = self._asked_margin(login, _BUY, symbol, terms.ask)
        sell = self._asked_margin(login, _SELL, symbol, terms.bid)
        self._margins[login, symbol] = now, buy, sell
        return buy, sell

    def _asked_margin(self, login: int, side: int, symbol: str, price: float) -> float | None:
        if price <= 0:
            return None
        try:
            margin = self._source.call("order_calc_margin", login, side, symbol, 1.0, price)
        except Exception as error:  # the formula stands in
            logger.info("The margin of %s is not known for %s: %s", symbol, login, error)
            return None
        return None if margin is None else float(margin)


def terms_of(
    server: str, symbol: str, host: str, *, login: int, wait_seconds: float = WAIT_SECONDS
) -> SymbolTerms | None:
    """Return the terms of a symbol for an account of another process's host, as of now.

    Waits for the host to ask its terminal. None when the host does not answer, when the terminal
    does not know the symbol, and when Redis is away.
    """
    deadline = time.monotonic() + wait_seconds
    try:
        _want(host, (_TERMS, server, login, symbol, ""))
        while True:
            packed: Any = redis_client().hget(terms_key(server), _field(login, symbol))
            terms = SymbolTerms.unpacked(packed) if packed is not None else None
            if terms is not None and time.time() - terms.read_at <= FRESH_SECONDS:
                return terms
            if time.monotonic() >= deadline:
                return None
            time.sleep(_LOOK_AGAIN_SECONDS)
    except RedisError as error:
        logger.warning("The terms of %s can't be read, Redis is away: %s", symbol, error)
        return None


def symbols_of(
    server: str, *, host: str, login: int, wait_seconds: float = WAIT_SECONDS
) -> list[str] | None:
    """Return the names of all symbols of a server, in order; None while they are not known."""
    deadline = time.monotonic() + wait_seconds
    try:
        _want(host, (_NAMES, server, login, "", ""))
        while True:
            packed: Any = redis_client().get(symbols_key(server))
            if packed is not None:
                return list(msgpack.unpackb(packed))
            if time.monotonic() >= deadline:
                return None
            time.sleep(_LOOK_AGAIN_SECONDS)
    except RedisError as error:
        logger.warning("The symbols of %s can't be read, Redis is away: %s", server, error)
        return None


def days_of(
    server: str,
    symbols: Collection[str],
    *,
    host: str,
    login: int,
    zone: str,
    wait_seconds: float = WAIT_SECONDS,
) -> dict[str, SymbolDays]:
    """Return the currencies and daily closes of symbols; those that are not known are left out.

    `zone` is the broker's, for its days. Waits once for all of them.
    """
    names = sorted(symbols)
    if not names:
        return {}
    deadline = time.monotonic() + wait_seconds
    try:
        while True:
            told: Any = redis_client().hmget(days_key(server), names)
            found = {name: value for name, value in zip(names, told, strict=True) if value}
            missing = [name for name in names if name not in found]
            if missing:
                _want(host, *((_DAYS, server, login, name, zone) for name in missing))
            if not missing or time.monotonic() >= deadline:
                return {name: _unpacked_days(value) for name, value in found.items()}
            time.sleep(_LOOK_AGAIN_SECONDS)
    except RedisError as error:
        logger.warning("The days of symbols can't be read, Redis is away: %s", error)
        return {}


def _unpacked_days(packed: bytes) -> SymbolDays:
    base, profit, days, closes = msgpack.unpackb(packed)
    return SymbolDays((base, profit), dict(zip(days, closes, strict=True)))


def _want(host: str, *wishes: _Wish) -> None:
    until = time.time() + WANTED_SECONDS
    members = {msgpack.packb(wish): until for wish in wishes}
    redis_client().zadd(wanted_key(host), members)


def _field(login: int, symbol: str) -> str:
    return f"{login}:{symbol}"

"""The symbols that a terminal trades: their numbers in readings, their terms, their quotes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from accounts.terminals.base import TerminalError
from accounts.terminals.child.package import Package, ask, last_error
from accounts.terminals.codes import CALL_FAILED

# What a price is worth moves with the exchange rate, unless no money is exchanged.
RATE_SECONDS: Final = 1.0
TERMS_SECONDS: Final = 60.0
# A symbol whose positions stand still may still be quoted anew on the other side.
QUOTE_SECONDS: Final = 0.25
# Those of a resting account tell the broker's clock: one trades on weekends.
CLOCK_SYMBOLS: Final = ("*EURUSD*", "*BTCUSD*")
CLOCK_SECONDS: Final = 1.0
NO_SYMBOL: Final = -1


@dataclass(frozen=True, slots=True)
class Terms:
    """What `symbol_info` says of a symbol, as far as a position's value follows from it.

    ``price_value`` is what one lot gains, in account currency, when the price rises by 1.
    """

    digits: int
    price_value: float
    renew_at: float


class Symbols:
    """The symbols of one session. Times are monotonic seconds.

    Numbers are given once and for good, so that rows which hold them stay right.
    """

    def __init__(self, package: Package) -> None:
        self._package = package
        self._numbers: dict[str, int] = {}
        self._terms: dict[tuple[str, str], Terms] = {}
        self._quotes: dict[str, Any] = {}
        self._ask_again_at: dict[str, float] = {}
        self._clock_names: tuple[str, ...] = ()
        self._clock_at = 0.0
        self.newest_msc = 0

    @property
    def names(self) -> list[str]:
        return list(self._numbers)

    def number(self, name: str) -> int:
        """Return a symbol's place in `names`; -1 for none, as of a balance operation."""
        if not name:
            return NO_SYMBOL
        return self._numbers.setdefault(name, len(self._numbers))

    def terms(self, name: str, currency: str, now: float) -> Terms:
        """Return a symbol's terms, at most a second old where an exchange rate is in them.

        Raises TerminalError when the terminal does not know them: no value is made up.
        """
        known = self._terms.get((name, currency))
        if known is not None and now < known.renew_at:
            return known
        info = ask(self._package, "symbol_info", name)
        keeps = info.currency_profit == currency
        terms = Terms(
            digits=info.digits,
            price_value=_price_value(info, keeps_currency=keeps),
            renew_at=now + (TERMS_SECONDS if keeps else RATE_SECONDS),
        )
        self._terms[name, currency] = terms
        return terms

    def quotes(self, traded: Mapping[str, bool], now: float) -> dict[str, Any]:
        """Return the newest Tick of each traded symbol; True stands for one that has moved."""
        for name, has_moved in traded.items():
            if has_moved or now >= self._ask_again_at.get(name, 0.0):
                self._ask_quote(name, now)
        return {name: self._quotes[name] for name in traded if name in self._quotes}

    def look_at_clock(self, now: float) -> None:
        """Learn the broker's time from a quote now and then, for an account that trades nothing."""
        if now < self._clock_at:
            return
        if not self._clock_names:
            self._clock_names = self._watched()
        self._clock_at = now + (CLOCK_SECONDS if self._clock_names else TERMS_SECONDS)
        for name in self._clock_names:
            self._ask_quote(name, now)

    def _ask_quote(self, name: str, now: float) -> None:
        self._ask_again_at[name] = now + QUOTE_SECONDS
        tick = self._package.symbol_info_tick(name)
        if tick is None:
            error = last_error(self._package)
            if error.is_connection_lost or error.is_refused_login:
                raise error
            return  # the terminal has no quote of this one: that says nothing of the account
        self._quotes[name] = tick
        self.newest_msc = max(self.newest_msc, tick.time_msc)

    def _watched(self) -> tuple[str, ...]:
        """Return symbols of the Market Watch that are quoted nearly always."""
        names: list[str] = []
        for pattern in CLOCK_SYMBOLS:
            found = self._package.symbols_get(pattern) or ()
            names += [info.name for info in found if info.select][:1]
        return tuple(names)


def _price_value(info: Any, *, keeps_currency: bool) -> float:
    """Return what one lot gains when the price rises by 1: the mean of gained and lost money."""
    gained, lost = info.trade_tick_value_profit, info.trade_tick_value_loss
    if info.trade_tick_size > 0 and gained > 0 and lost > 0:
        value = (gained + lost) / 2.0 / info.trade_tick_size
    elif keeps_currency:
        value = info.trade_contract_size
    else:
        value = math.nan
    if not 0 < value < math.inf:
        raise TerminalError(CALL_FAILED, f"The terminal does not value {info.name} yet.")
    return float(value)

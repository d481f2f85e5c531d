"""One event as a thousand followers ask about it: what is worked out once for all of them."""

from collections.abc import Hashable
from datetime import datetime, timedelta

from copytrade.core.facts import FollowerSnapshot, ProviderEvent, SymbolContract
from copytrade.core.kinds import OrderType
from copytrade.core.levels import Entry
from copytrade.core.notionals import Notional, compare_notionals, price_scale
from copytrade.core.sentences import trade_text
from copytrade.core.sizing import ProviderSide
from copytrade.core.symbols import match_symbol


class Occasion:
    """An event and the moment of planning it; remembers answers that followers share."""

    __slots__ = (
        "_deadlines",
        "_market_price",
        "_matches",
        "_notionals",
        "age_seconds",
        "entries",
        "event",
        "now",
        "provider",
        "trade",
    )

    def __init__(self, event: ProviderEvent, now: datetime) -> None:
        self.event = event
        self.now = now
        self.age_seconds = (now - event.happened_at).total_seconds()
        self.trade = trade_text(event)
        self.provider = ProviderSide(lots=event.lots, figures=event.figures, rates=event.rates)
        self._market_price = _market_price(event)
        self.entries: dict[Hashable, Entry] = {}
        self._deadlines: dict[int, datetime] = {}
        self._matches: dict[tuple[frozenset[str], str | None], str | None] = {}
        # With the contract beside its answer, for an id alone could be taken over by another.
        self._notionals: dict[int, tuple[SymbolContract, Notional | None]] = {}

    def symbol_of(self, follower: FollowerSnapshot) -> str | None:
        """Return what the follower calls the event's symbol; None when it has none."""
        symbol, names = self.event.symbol, follower.symbol_names
        symbol_map = follower.terms.symbol_map
        key = (names, symbol_map.get(symbol))
        if key not in self._matches:
            self._matches[key] = match_symbol(symbol, symbol_map, self.event.symbol_names, names)
        return self._matches[key]

    def notional_of(self, contract: SymbolContract) -> Notional | None:
        """Compare the event's symbol with the follower's; None where a rate is missing."""
        known = self._notionals.get(id(contract))
        if known is not None:
            return known[1]
        notional = None
        if self.event.contract is not None:
            notional = compare_notionals(
                self.event.contract, contract, self._market_price, self.event.rates
            )
        self._notionals[id(contract)] = (contract, notional)
        return notional

    def scale_of(self, contract: SymbolContract) -> float:
        """Return what the provider's prices are to be multiplied with for the follower."""
        notional = self.notional_of(contract)
        if notional is not None:
            return notional.price_scale
        return price_scale(self._market_price, contract.middle)

    def deadline(self, seconds: int) -> datetime:
        """Return until when an open may be sent; what is adopted counts from now on."""
        if seconds not in self._deadlines:
            start = self.now if self.event.is_adopted else self.event.happened_at
            self._deadlines[seconds] = start + timedelta(seconds=seconds)
        return self._deadlines[seconds]


def _market_price(event: ProviderEvent) -> float | None:
    """Return where the provider's market is: a fill tells that, the price of an order does not."""
    quoted = None if event.contract is None else event.contract.middle
    if quoted is None and event.order_type is OrderType.MARKET:
        return event.price
    return quoted

"""People who trade at random: the providers all the time, the followers now and then."""

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.utils import timezone

from accounts.models import ConnectedAccount
from accounts.refusals import Refusal
from accounts.symbol_terms import SymbolTerms
from accounts.terminals.simulated import constants as mt5
from risk.models import Order
from risk.services.orders import close_position, place_order
from tradeguard.soaking.cast import SYMBOLS, Cast
from tradeguard.soaking.market import Held, Market

_MOST_POSITIONS: Final = 10
_MOST_PENDINGS: Final = 4
_LOTS: Final = ("0.10", "0.17", "0.33", "0.50", "1.00", "1.37")
_PARTS: Final = ("0.2", "0.33", "0.5", "0.8")
_WEIGHTS: Final = {
    "open": 30,
    "open through TradeGuard": 6,
    "close": 14,
    "close a part": 16,
    "close through TradeGuard": 4,
    "close by": 3,
    "move the stops": 10,
    "place an order": 8,
    "move an order": 4,
    "delete an order": 4,
    "follower closes": 3,
    "follower closes a part": 3,
}


class Traders:
    """Carries out one random act at a time and counts what came of it."""

    def __init__(self, cast: Cast, market: Market, random: Random) -> None:
        self._cast = cast
        self._market = market
        self._random = random
        self.done: Counter[str] = Counter()
        self._acts: dict[str, Callable[[], bool]] = {
            "open": self._open,
            "open through TradeGuard": self._open_through,
            "close": lambda: self._close(Decimal(1)),
            "close a part": lambda: self._close(Decimal(random.choice(_PARTS))),
            "close through TradeGuard": self._close_through,
            "close by": self._close_by,
            "move the stops": self._move_stops,
            "place an order": self._place,
            "move an order": self._move_order,
            "delete an order": self._delete_order,
            "follower closes": lambda: self._interfere(Decimal(1)),
            "follower closes a part": lambda: self._interfere(Decimal("0.5")),
        }

    def act(self) -> None:
        (name,) = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        try:
            is_done = self._acts[name]()
        except (Refusal, ValidationError, DatabaseError):
            is_done = False
        if is_done:
            self.done[name] += 1

    def wind_up(self) -> None:
        """Let the providers delete their orders and close about half of what they hold."""
        for provider in self._cast.providers:
            for order in self._market.orders(provider) or ():
                self._market.trade(provider, {"action": mt5.TRADE_ACTION_REMOVE,
                                              "order": order.ticket})  # fmt: skip
            for held in self._market.positions(provider) or ():
                part = self._random.choice(("0", "0.5", "1"))
                if part != "0":
                    self._close_held(provider, held, Decimal(part))

    def _provider(self) -> ConnectedAccount:
        return self._random.choices(self._cast.providers, (3, 1))[0]

    def _some_position(self, account: ConnectedAccount) -> Held | None:
        held = self._market.positions(account)
        return self._random.choice(held) if held else None

    def _open(self) -> bool:
        provider = self._provider()
        held = self._market.positions(provider)
        symbol = self._random.choice(SYMBOLS)
        terms = self._market.terms(provider, symbol)
        if held is None or len(held) >= _MOST_POSITIONS or terms is None:
            return False
        is_buy = self._random.random() < 0.5
        stops = self._stops(terms, is_buy=is_buy) if self._random.random() < 0.7 else {}
        return self._market.trade(provider, {
            "action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "type": 0 if is_buy else 1,
            "volume": float(self._random.choice(_LOTS)), "type_filling": _filling(terms),
            "price": terms.ask if is_buy else terms.bid, "deviation": 1_000, **stops,
        })  # fmt: skip

    def _stops(self, terms: SymbolTerms, *, is_buy: bool) -> dict[str, float]:
        """Return stops that are seldom reached."""
        sign = 1 if is_buy else -1
        points = self._random.randint(400, 3_000)
        price = terms.bid if is_buy else terms.ask
        return {
            "sl": round(price - sign * points * terms.point, terms.digits),
            "tp": round(price + sign * 2 * points * terms.point, terms.digits),
        }

    def _open_through(self) -> bool:
        provider = self._provider()
        held = self._market.positions(provider)
        if held is None or len(held) >= _MOST_POSITIONS:
            return False
        place_order(
            account=provider,
            user=self._cast.user,
            origin=Order.Origin.API,
            symbol=self._random.choice(SYMBOLS),
            direction=self._random.choice(("buy", "sell")),
            volume=Decimal(self._random.choice(_LOTS)),
            now=timezone.now(),
        )
        return True

    def _close_through(self) -> bool:
        provider = self._provider()
        held = self._some_position(provider)
        if held is None:
            return False
        part = self._random.choice((None, held.volume / 2))
        close_position(
            account=provider,
            user=self._cast.user,
            origin=Order.Origin.API,
            ticket=held.ticket,
            volume=None if part is None else part.quantize(Decimal("0.01")) or None,
            now=timezone.now(),
        )
        return True

    def _close(self, part: Decimal) -> bool:
        provider = self._provider()
        held = self._some_position(provider)
        return held is not None and self._close_held(provider, held, part)

    def _close_held(self, account: ConnectedAccount, held: Held, part: Decimal) -> bool:
        terms = self._market.terms(account, held.symbol)
        if terms is None:
            return False
        step = terms.step
        volume = max(held.volume * part // step * step, min(step, held.volume))
        return self._market.trade(account, {
            "action": mt5.TRADE_ACTION_DEAL, "symbol": held.symbol, "position": held.ticket,
            "type": 1 if held.is_buy else 0, "volume": float(volume),
            "price": terms.bid if held.is_buy else terms.ask, "deviation": 1_000,
            "type_filling": _filling(terms),
        })  # fmt: skip

    def _close_by(self) -> bool:
        provider = self._cast.providers[0]
        held = self._market.positions(provider) or []
        pairs = [
            (one, other)
            for one in held
            for other in held
            if one.symbol == other.symbol and one.is_buy and not other.is_buy
        ]
        if not pairs:
            return False
        one, other = self._random.choice(pairs)
        return self._market.trade(provider, {
            "action": mt5.TRADE_ACTION_CLOSE_BY, "position": one.ticket,
            "position_by": other.ticket,
        })  # fmt: skip

    def _move_stops(self) -> bool:
        provider = self._provider()
        held = self._some_position(provider)
        terms = None if held is None else self._market.terms(provider, held.symbol)
        if held is None or terms is None:
            return False
        request: dict[str, Any] = {
            "action": mt5.TRADE_ACTION_SLTP, "symbol": held.symbol, "position": held.ticket,
        }  # fmt: skip
        if self._random.random() < 0.85:
            request |= self._stops(terms, is_buy=held.is_buy)
        return self._market.trade(provider, request)

    def _place(self) -> bool:
        provider = self._provider()
        waiting, symbol = self._market.orders(provider), self._random.choice(SYMBOLS)
        terms = self._market.terms(provider, symbol)
        if waiting is None or len(waiting) >= _MOST_PENDINGS or terms is None:
            return False
        kind = self._random.choice((
            mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT,
            mt5.ORDER_TYPE_BUY_STOP, mt5.ORDER_TYPE_SELL_STOP,
        ))  # fmt: skip
        return self._market.trade(provider, {
            "action": mt5.TRADE_ACTION_PENDING, "symbol": symbol, "type": kind,
            "volume": float(self._random.choice(_LOTS)),
            "price": self._order_price(terms, kind), "type_filling": 2,
        })  # fmt: skip

    def _order_price(self, terms: SymbolTerms, kind: int) -> float:
        """Return a price that is reached now and then."""
        is_below = kind in (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_STOP)
        points = self._random.randint(30, 250) * (-1 if is_below else 1)
        return round((terms.bid if is_below else terms.ask) + points * terms.point, terms.digits)

    def _move_order(self) -> bool:
        provider = self._provider()
        waiting = self._market.orders(provider)
        if not waiting:
            return False
        order = self._random.choice(waiting)
        terms = self._market.terms(provider, order.symbol)
        return terms is not None and self._market.trade(provider, {
            "action": mt5.TRADE_ACTION_MODIFY, "order": order.ticket, "symbol": order.symbol,
            "price": self._order_price(terms, order.type),
        })  # fmt: skip

    def _delete_order(self) -> bool:
        provider = self._provider()
        waiting = self._market.orders(provider)
        return bool(waiting) and self._market.trade(provider, {
            "action": mt5.TRADE_ACTION_REMOVE, "order": self._random.choice(waiting or []).ticket,
        })  # fmt: skip

    def _interfere(self, part: Decimal) -> bool:
        """Let a follower close by hand; on netting accounts nobody could tell whose part it was."""
        hedging = [pair.follower for pair in self._cast.pairs if not pair.is_netting]
        follower = self._random.choice(hedging)
        held = self._some_position(follower)
        return held is not None and self._close_held(follower, held, part)


def _filling(terms: SymbolTerms) -> int:
    """Return immediate-or-cancel where the symbol has it, else fill-or-kill."""
    return mt5.ORDER_FILLING_IOC if terms.filling_mode & 2 else mt5.ORDER_FILLING_FOK

"""By how much copies were filled worse than their providers were."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

from accounts.symbol_terms import SymbolTerms
from accounts.terminals.link import LinkError
from copytrade.core.facts import SymbolContract
from risk.models import Order

logger = logging.getLogger(__name__)

# Another quoting of the same thing tells nothing about slippage.
_SAME_QUOTING: Final = 0.1
# So long what a point is worth is taken for what it was, and nobody is asked who did not know.
FRESH: Final = timedelta(hours=1)
AGAIN: Final = timedelta(minutes=1)

_Key = tuple[str, str, str]


class Calls(Protocol):
    def call(self, method: str, *arguments: object) -> Any: ...


class Filled(Protocol):
    """What is asked of an order here."""

    @property
    def account_id(self) -> UUID: ...
    @property
    def server(self) -> str: ...
    @property
    def login(self) -> int: ...
    @property
    def symbol(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def fill_price(self) -> float | None: ...


class Slippages:
    """Compares fills with the provider's, in points and in the follower's money; for one thread.

    What a point is worth is asked per account's currency, server and symbol, and again after a
    while: in another currency than the account's it goes with the rate.
    """

    def __init__(self, source: Calls) -> None:
        self._source = source
        self._currencies: dict[UUID, str] = {}
        self._contracts: dict[_Key, SymbolContract | None] = {}
        self._asked_at: dict[_Key, datetime] = {}

    def know(self, currencies: Iterable[tuple[UUID, str]]) -> None:
        """Say in which currencies accounts are kept."""
        self._currencies.update(currencies)

    def learn(self, orders: Iterable[Filled], now: datetime) -> None:
        """Ask for what these fills need, before anything is locked for them."""
        for order in orders:
            if order.fill_price is None:
                continue
            key = self._key(order)
            if self._is_due(key, now):
                self._asked_at[key] = now
                asked = self._asked(order, key[1])
                # An old worth tells more than none.
                self._contracts[key] = asked or self._contracts.get(key)

    def of(
        self, order: Filled, provider_price: float | None, filled: Decimal
    ) -> tuple[float | None, float | None]:
        """Return points and money, above 0 where the copy did worse; None where nobody can tell."""
        price, contract = order.fill_price, self._contracts.get(self._key(order))
        if not price or not provider_price or contract is None or contract.point <= 0:
            return None, None
        if abs(price / provider_price - 1.0) > _SAME_QUOTING:
            return None, None
        worse = price - provider_price
        if order.direction == Order.Direction.SELL:
            worse = -worse
        worth = contract.loss_per_price
        money = None if worth is None else round(worse * float(worth * filled), 4)
        return round(worse / contract.point, 2), money

    def _is_due(self, key: _Key, now: datetime) -> bool:
        asked_at = self._asked_at.get(key)
        patience = AGAIN if self._contracts.get(key) is None else FRESH
        # A clock that was set back is no reason to wait for longer.
        return asked_at is None or not asked_at <= now < asked_at + patience

    def _key(self, order: Filled) -> _Key:
        return order.server, self._currencies.get(order.account_id, ""), order.symbol

    def _asked(self, order: Filled, currency: str) -> SymbolContract | None:
        try:
            row = self._source.call("symbol_info", order.login, order.symbol)
        except (LinkError, OSError) as error:
            logger.info("What a point of %s is worth is not known: %s", order.symbol, error)
            return None
        return None if row is None else SymbolContract.of(SymbolTerms.from_row(row), currency)

"""How much of the follower's symbol stands for one lot of the provider's."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from copytrade.core.facts import SymbolContract, exact
from copytrade.core.rates import Ratio, conversion

# Brokers quote one thing within a fraction of a percent of each other. A difference as large as
# this one is another unit (an index in tenths, gold by the gram), and not the market's movement.
SAME_PRICE_WITHIN: Final = 0.05


class Notional(NamedTuple):
    """`lots` of the follower's per lot of the provider's, and its price per the provider's."""

    lots: Ratio
    price_scale: float = 1.0


def price_scale(provider_price: float | None, follower_price: float | None) -> float:
    """Return by how much the follower's prices are larger, 1 for those that are near each other.

    Small differences are the market's and would only shave a step off the lots. 1 without prices.
    """
    if not provider_price or not follower_price:
        return 1.0
    scale = follower_price / provider_price
    return 1.0 if abs(scale - 1.0) <= SAME_PRICE_WITHIN else scale


def compare_notionals(
    provider: SymbolContract,
    follower: SymbolContract,
    provider_price: float | None,
    rates: Mapping[str, Decimal],
) -> Notional | None:
    """Compare a lot of both in money: contract size, price and currency; None without a rate."""
    scale = price_scale(provider_price, follower.middle)
    currencies = conversion(rates, provider.value_currency, follower.value_currency)
    if currencies is None or follower.value_per_price <= 0 or provider.value_per_price <= 0:
        return None
    top = provider.value_per_price * currencies.top
    bottom = follower.value_per_price * currencies.bottom
    if scale != 1.0:
        bottom *= exact(scale)
    return Notional(Ratio(top, bottom), scale)

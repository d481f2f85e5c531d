"""Where a copy would be filled, and its stop loss and take profit."""

from dataclasses import dataclass
from decimal import Decimal

from copytrade.core.facts import ProviderEvent, RelationshipTerms, SymbolContract, exact
from copytrade.core.reverse import reversed_stops

Levels = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a copy would be filled (`price`), and its stops.

    `provider_price` is the provider's fill in the follower's prices, where that tells anything.
    """

    contract: SymbolContract
    is_buy: bool
    price: float | None
    levels: Levels
    provider_price: float | None = None
    order_price: float | None = None
    stop_limit_price: float | None = None

    @property
    def adverse_points(self) -> float:
        """By how many points the price is worse than the provider's; 0 where that tells nothing."""
        if self.price is None or self.provider_price is None or self.contract.point <= 0:
            return 0.0
        worse = self.price - self.provider_price
        return round((worse if self.is_buy else -worse) / self.contract.point, 6)


def opening_levels(
    terms: RelationshipTerms,
    event: ProviderEvent,
    contract: SymbolContract,
    *,
    is_buy: bool,
    entry: float | None,
    price_scale: float,
) -> Levels:
    """Return stop loss and take profit of a new copy, in the follower's prices.

    A fixed distance, in points from `entry`, takes the place of the provider's level; it is left
    out while there is no price to measure from.
    """
    is_reverse = is_buy is not event.is_buy
    stop_loss, take_profit = _copied(terms, event, contract, price_scale, is_reverse=is_reverse)
    sign = 1.0 if is_buy else -1.0
    if terms.stop_loss_points is not None:
        stop_loss = _at(entry, -sign * terms.stop_loss_points, contract)
    if terms.take_profit_points is not None:
        take_profit = _at(entry, sign * terms.take_profit_points, contract)
    return stop_loss, take_profit


def changed_levels(
    terms: RelationshipTerms,
    event: ProviderEvent,
    contract: SymbolContract,
    *,
    is_buy: bool,
    price_scale: float,
) -> Levels:
    """Return both levels of a copy that is bought or sold after the provider has moved its own.

    None leaves one as it is, for it is a fixed distance; 0 takes it away.
    """
    is_reverse = is_buy is not event.is_buy
    stop_loss, take_profit = _copied(terms, event, contract, price_scale, is_reverse=is_reverse)
    return (
        None if terms.stop_loss_points is not None else stop_loss or 0.0,
        None if terms.take_profit_points is not None else take_profit or 0.0,
    )


def scaled(price: float | None, contract: SymbolContract, price_scale: float) -> float | None:
    """Return one of the provider's prices in the follower's, None for none."""
    return round(price * price_scale, contract.digits) if price else None


def stop_distance(entry: float | None, stop_loss: float | None, *, is_buy: bool) -> Decimal | None:
    """Return how far the stop is from the entry, in price; negative on the wrong side of it."""
    if not entry or stop_loss is None:
        return None
    distance = exact(entry) - exact(stop_loss)
    return distance if is_buy else -distance


def changes_nothing(wanted: Levels, present: Levels, point: float) -> bool:
    """Tell whether levels as of `changed_levels` are there already, to half a point."""
    return all(
        level is None or is_alike(level, there, point)
        for level, there in zip(wanted, present, strict=True)
    )


def is_alike(one: float | None, other: float | None, point: float) -> bool:
    return abs((one or 0.0) - (other or 0.0)) < point / 2


def _copied(
    terms: RelationshipTerms,
    event: ProviderEvent,
    contract: SymbolContract,
    price_scale: float,
    *,
    is_reverse: bool,
) -> Levels:
    if not terms.copies_stops:
        return None, None
    levels = (
        scaled(event.stop_loss, contract, price_scale),
        scaled(event.take_profit, contract, price_scale),
    )
    return reversed_stops(*levels) if is_reverse else levels


def _at(entry: float | None, points: float, contract: SymbolContract) -> float | None:
    if not entry:
        return None
    level = round(entry + points * contract.point, contract.digits)
    return level if level > 0 else None

"""What planning is told: frozen pictures of a provider's event and of each follower.

Volumes are lots, prices are in the symbol's own currency, money is in the account's. None stands
for what is not known, or, where a field says so, for what is not there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Self
from uuid import UUID

from accounts.symbol_terms import CalcMode, SymbolTerms
from copytrade.core.kinds import (
    BelowMinimum,
    Directions,
    EventKind,
    HeldState,
    OrderType,
    RelationshipState,
    Sizing,
)

_BY_TICK_VALUE = frozenset({CalcMode.FUTURES, CalcMode.EXCHANGE_FUTURES})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFigures:
    """An account's money as a proven, fresh reading tells it."""

    currency: str
    equity: float
    balance: float
    free_margin: float
    currency_digits: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolContract:
    """A symbol as one account trades it.

    `value_per_price` is what one lot gains in `value_currency` when the price moves by 1: its
    contract size, where that is no future. `loss_per_price` is what it loses then in the account's
    currency. `bid` and `ask` are None without a quote.
    """

    name: str
    value_per_price: Decimal
    value_currency: str
    volume_min: Decimal
    volume_max: Decimal
    volume_step: Decimal
    point: float
    digits: int
    loss_per_price: Decimal | None = None
    bid: float | None = None
    ask: float | None = None

    @classmethod
    def of(cls, terms: SymbolTerms, account_currency: str) -> Self:
        """Take what copying needs out of a symbol's terms, read on an account in that currency."""
        value, currency = terms.contract_size, terms.currency_profit
        if terms.calc_mode in _BY_TICK_VALUE and terms.value_per_price is not None:
            value, currency = terms.value_per_price, account_currency
        loss = terms.loss_per_price
        return cls(
            name=terms.name,
            value_per_price=exact(value),
            value_currency=currency,
            volume_min=exact(terms.volume_min),
            volume_max=exact(terms.volume_max),
            volume_step=exact(terms.volume_step),
            point=terms.point,
            digits=terms.digits,
            loss_per_price=None if loss is None else exact(loss),
            bid=terms.bid if terms.bid > 0 else None,
            ask=terms.ask if terms.ask > 0 else None,
        )

    def with_quote(self, bid: float, ask: float) -> Self:
        return replace(self, bid=bid, ask=ask)

    def price_for(self, is_buy: bool) -> float | None:
        """Return what an order at the market would be filled at; None without a quote."""
        return self.ask if is_buy else self.bid

    @property
    def middle(self) -> float | None:
        """The middle of the book; None without a quote."""
        return None if self.bid is None or self.ask is None else (self.bid + self.ask) / 2

    def floored(self, lots: Decimal) -> Decimal:
        """Round down to a whole number of steps; lots that only noise keeps below one count."""
        if lots <= 0 or self.volume_step <= 0:
            return Decimal(0)
        return (lots + _NOISE) // self.volume_step * self.volume_step


# Far below any step, far above what a division of 28 digits leaves over.
_NOISE = Decimal("1e-12")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationshipTerms:
    """A relationship as planning sees it; the fields of its row, which say what they mean.

    `magics`, `include_symbols` and `exclude_symbols` are sets.
    """

    id: UUID
    state: RelationshipState = RelationshipState.ACTIVE
    sizing: Sizing = Sizing.EQUITY_RATIO
    multiplier: Decimal = Decimal(1)
    fixed_lots: Decimal | None = None
    risk_fraction: Decimal | None = None
    below_minimum: BelowMinimum = BelowMinimum.SKIP
    maximum_lots: Decimal | None = None
    symbol_map: Mapping[str, str] = field(default_factory=dict)
    include_symbols: frozenset[str] = frozenset()
    exclude_symbols: frozenset[str] = frozenset()
    directions: Directions = Directions.BOTH
    magics: frozenset[int] = frozenset()
    is_reverse: bool = False
    copies_stops: bool = True
    stop_loss_points: int | None = None
    take_profit_points: int | None = None
    copies_pendings: bool = False
    open_deadline_seconds: int = 60
    maximum_slippage_points: int | None = None
    maximum_positions: int | None = None
    trading_from: time | None = None
    trading_until: time | None = None
    trading_zone: str = "UTC"
    equity_stop: Decimal | None = None
    started_at: datetime | None = None

    @classmethod
    def of(cls, row: object) -> Self:
        """Take the terms from a relationship's row, or from anything with its fields."""
        told = {each.name: getattr(row, each.name) for each in fields(cls)}
        for name, kind in _KINDS.items():
            told[name] = kind(told[name])
        return cls(**told)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """What a provider did, with what is known of the provider at that moment.

    `is_buy` is the direction of its position or order. `lots` is what this event opened, closed or
    ordered, `lots_before` what the position held before. `price` is the fill's or the order's.
    A stop is None where there is none. `contract` and `figures` are the provider's, `symbol_names`
    its server's. `rates` tell what one unit of each currency is worth in a common one. `is_adopted`
    marks an open that is copied later on purpose.
    """

    id: UUID
    kind: EventKind
    symbol: str
    is_buy: bool
    happened_at: datetime
    lots: Decimal = Decimal(0)
    lots_before: Decimal = Decimal(0)
    price: float | None = None
    stop_limit_price: float | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    order_type: OrderType = OrderType.MARKET
    magic: int = 0
    position_ticket: int | None = None
    order_ticket: int | None = None
    is_own_copy: bool = False
    is_adopted: bool = False
    contract: SymbolContract | None = None
    figures: AccountFigures | None = None
    symbol_names: frozenset[str] = frozenset()
    rates: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCopy:
    """What the ledger and the reading say of a follower's copy of one position.

    `lots` is the copy's part by the ledger, `closing_lots` what closes under way will take of it.
    On hedging accounts `position_lots` is what the reading shows of its ticket (0: gone); None
    without a proven reading that is younger than its last fill, for an older one would close
    nothing. The stops are those it has now, None for none.
    """

    symbol: str
    is_buy: bool
    lots: Decimal
    state: HeldState = HeldState.OPEN
    ticket: int | None = None
    position_lots: Decimal | None = None
    closing_lots: Decimal = Decimal(0)
    stop_loss: float | None = None
    take_profit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPending:
    """A follower's copy of one pending order; `is_filled` once its broker has filled it."""

    symbol: str
    is_buy: bool
    order_type: OrderType
    lots: Decimal
    ticket: int | None = None
    is_filled: bool = False
    price: float | None = None
    stop_limit_price: float | None = None
    stop_loss: float | None = None
    take_profit: float | None = None


@dataclass(frozen=True, slots=True)
class NetHolding:
    """A netted position: positive lots are bought.

    `lots` is what the reading shows, None without a proven one that is younger than the last fill.
    `copied_lots` is the sum of all copies in it that are filled, by the ledger, less what closes
    under way will take; `copies` counts the copies, also those that are not filled yet.
    """

    lots: Decimal | None
    copied_lots: Decimal
    copies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerSnapshot:
    """One relationship's follower at the moment of planning.

    `symbol_names` are its server's, `contracts` the symbols whose terms are known, `held` and
    `pending` its copies of the event's position and order. `nets` holds the netted positions by
    symbol and is None on a hedging account. `open_copies` counts this relationship's positions.
    """

    account_id: UUID
    terms: RelationshipTerms
    symbol_names: frozenset[str]
    contracts: Mapping[str, SymbolContract]
    figures: AccountFigures | None = None
    held: HeldCopy | None = None
    pending: HeldPending | None = None
    nets: Mapping[str, NetHolding] | None = None
    open_copies: int = 0
    lock_reason: str = ""


# What the row keeps as plain text or as a list.
_KINDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "state": RelationshipState,
    "sizing": Sizing,
    "below_minimum": BelowMinimum,
    "directions": Directions,
    "include_symbols": frozenset,
    "exclude_symbols": frozenset,
    "magics": frozenset,
}


@lru_cache(maxsize=65_536)
def exact(number: float) -> Decimal:
    """Take a double as it prints, without noise: 0.29 is that, and not the double next to it."""
    return Decimal(repr(round(float(number), 10)))

"""What watching knows of one provider: its account, what it held, and what it holds now.

Volumes are lots, prices are in the symbol's own currency; a stop of 0 is none. A position goes by
its identifier, which deals name and which stays when a netted position turns round.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from copytrade.core.kinds import EventKind, OrderType


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedProvider:
    """An account that others copy. What it did before `started_at` is nobody's business.

    `broker_zone` is the zone in which its broker writes times.
    """

    account_id: UUID
    name: str
    login: int
    server: str
    currency: str
    broker_zone: str
    started_at: datetime

    def is_same_login(self, other: "WatchedProvider") -> bool:
        return (self.login, self.server) == (other.login, other.server)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPosition:
    """A position as a reading shows it."""

    identifier: int
    symbol: str
    is_buy: bool
    lots: Decimal
    stop_loss: float = 0.0
    take_profit: float = 0.0
    magic: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingOrder:
    """A pending order as a reading shows it; `lots` is what is left of it."""

    ticket: int
    symbol: str
    is_buy: bool
    order_type: OrderType
    lots: Decimal
    price: float
    placed_at: datetime
    stop_limit_price: float | None = None
    stop_loss: float = 0.0
    take_profit: float = 0.0
    magic: int = 0

    @property
    def terms(self) -> tuple[float, float | None, float, float]:
        """What its owner can change."""
        return self.price, self.stop_limit_price, self.stop_loss, self.take_profit


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeal:
    """A deal for the market that the reading brought; `entry` and `reason` are MetaTrader 5's."""

    ticket: int
    order: int
    position: int
    symbol: str
    is_buy: bool
    entry: int
    reason: int
    lots: Decimal
    price: float
    magic: int
    happened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReading:
    """A proven reading of one provider."""

    positions: Mapping[int, HeldPosition]
    orders: Mapping[int, WaitingOrder]
    deals: tuple[NewDeal, ...]
    is_hedging: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPosition:
    """A position as the deals so far made it.

    `is_told` says that an event has opened it, `moves` how often its stops were told to move.
    `differs_since` is when a reading first showed other lots than the deals add up to. Of what the
    lists were believed about without a deal `unexplained_lots` are missing since a moment.
    """

    held: HeldPosition
    is_told: bool = False
    moves: int = 0
    differs_since: datetime | None = None
    unexplained_lots: Decimal = Decimal(0)
    unexplained_since: datetime | None = None

    def with_lots(self, lots: Decimal) -> "KnownPosition":
        return replace(self, held=replace(self.held, lots=lots), differs_since=None)

    def believing(self, lots: Decimal, since: datetime) -> "KnownPosition":
        """Return it with the lots that a list has shown since a moment, and what that took off."""
        missing = self.unexplained_lots + self.held.lots - lots
        return replace(
            self.with_lots(lots),
            unexplained_lots=max(missing, Decimal(0)),
            unexplained_since=since,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOrder:
    """A pending order as it was told, and how often it was told to change."""

    order: WaitingOrder
    is_told: bool = False
    moves: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of a provider after all that was told so far."""

    positions: Mapping[int, KnownPosition] = field(default_factory=dict)
    orders: Mapping[int, KnownOrder] = field(default_factory=dict)

    def without_differences(self) -> "Memory":
        """Return it as if no list had differed from the deals yet."""
        positions = {
            identifier: replace(known, differs_since=None)
            for identifier, known in self.positions.items()
        }
        return replace(self, positions=positions)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnding:
    """How a pending order ended by the broker's history; `is_filled` if any part of it was."""

    is_filled: bool
    happened_at: datetime
    position: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that a provider did; `key` tells it from others of its kind."""

    kind: EventKind
    key: str
    symbol: str
    is_buy: bool
    happened_at: datetime
    lots: Decimal | None = None
    lots_before: Decimal | None = None
    order_type: OrderType = OrderType.MARKET
    price: float | None = None
    stop_limit_price: float | None = None
    stop_loss: float = 0.0
    take_profit: float = 0.0
    magic: int = 0
    position: int | None = None
    order: int | None = None
    deal: int | None = None
    is_stop_out: bool = False

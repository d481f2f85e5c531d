"""What becomes of one event on one follower: an order, or the reason why there is none."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from copytrade.core.facts import FollowerSnapshot
from copytrade.core.kinds import OrderKind, OrderType, SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An order for a follower, in its own symbol and lots.

    `is_buy` is the direction of the order: a close of a buy sells. `position_ticket` and
    `order_ticket` are the follower's, None while the open is under way. What `waits_for_fill` is
    ordered once that open, or closes of a part that should take all, have ended. Of a close,
    `netted_lots` are those that the follower's netted position does not hold in the copy's
    direction: they are sent as an order of their own, without a ticket. `closes_all` tells to take
    all that the position holds when it is sent. A stop of a new order is None where there is none;
    of a change, None leaves it as it is and 0 takes it away. `send_by_at` is None for what never
    expires. `sentence` says what changed the volume, if anything did.
    """

    relationship_id: UUID
    account_id: UUID
    kind: OrderKind
    symbol: str
    is_buy: bool
    lots: Decimal | None = None
    order_type: OrderType = OrderType.MARKET
    price: float | None = None
    stop_limit_price: float | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    deviation_points: int | None = None
    send_by_at: datetime | None = None
    position_ticket: int | None = None
    order_ticket: int | None = None
    closes_all: bool = False
    waits_for_fill: bool = False
    netted_lots: Decimal = Decimal(0)
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Why there is no order, with the numbers in the follower's terms."""

    relationship_id: UUID
    account_id: UUID
    reason: SkipReason
    sentence: str
    symbol: str = ""


Plan = Planned | Skipped


class Refusal(NamedTuple):
    """A reason to skip, before it is known whom it is told."""

    reason: SkipReason
    sentence: str


def skipped(follower: FollowerSnapshot, refusal: Refusal, symbol: str = "") -> Skipped:
    return Skipped(
        relationship_id=follower.terms.id,
        account_id=follower.account_id,
        reason=refusal.reason,
        sentence=refusal.sentence,
        symbol=symbol,
    )

"""Orders as rows, before anybody sends them: what every one of them carries from its birth."""

import secrets
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

from risk.desk import AccountFacts
from risk.models import Order
from risk.orders.terminal import BUY, PendingOrder, Position

# Our prefix in the upper bits of a tag, below 2**53 so that no program rounds it.
_TAG_PREFIX: Final = 0x5447 << 38
_TAG_BITS: Final = 38


class Located(Protocol):
    """An account, as a row or as the desk's facts, whose orders these are."""

    @property
    def id(self) -> UUID: ...
    @property
    def user_id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def server(self) -> str: ...
    @property
    def login(self) -> int: ...


def new_tag() -> int:
    """Return a number for `magic`: our prefix and 38 random bits."""
    return _TAG_PREFIX | secrets.randbits(_TAG_BITS)


def is_our_tag(magic: int) -> bool:
    """Tell whether a magic number is a tag of TradeGuard's orders."""
    return magic >> _TAG_BITS == _TAG_PREFIX >> _TAG_BITS


def draft(
    account: Located, kind: str, *, host: str = "", origin: str, now: datetime, **fields: Any
) -> Order:
    """Return an unsaved order of an account, pending, with its own id, tag and comment."""
    order_id = uuid.uuid4()
    return Order(
        id=order_id,
        tag=new_tag(),
        comment=f"TG-{order_id.hex[:8]}",
        user_id=account.user_id,
        account_id=account.id,
        account_name=account.name,
        host=host,
        server=account.server,
        login=account.login,
        kind=kind,
        origin=origin,
        created_at=now,
        **fields,
    )


def draft_close(
    account: AccountFacts,
    position: Position,
    volume: Decimal | None = None,
    *,
    host: str = "",
    origin: str,
    enforcement_id: UUID | None = None,
    now: datetime,
) -> Order:
    """Close a position, or `volume` lots of it, which must be a whole number of steps."""
    closed = position.volume if volume is None else min(volume, position.volume)
    return draft(
        account,
        Order.Kind.CLOSE,
        host=host,
        origin=origin,
        now=now,
        enforcement_id=enforcement_id,
        symbol=position.symbol,
        direction=Order.Direction.SELL if position.is_buy else Order.Direction.BUY,
        requested_volume=closed,
        volume=closed,
        position_ticket=position.ticket,
    )


def draft_close_by(
    account: AccountFacts,
    position: Position,
    opposite: Position,
    *,
    host: str = "",
    origin: str,
    enforcement_id: UUID | None = None,
    now: datetime,
) -> Order:
    """Close two opposite positions of a symbol by each other; hedging accounts only."""
    closed = min(position.volume, opposite.volume)
    return draft(
        account,
        Order.Kind.CLOSE_BY,
        host=host,
        origin=origin,
        now=now,
        enforcement_id=enforcement_id,
        symbol=position.symbol,
        direction=Order.Direction.SELL if position.is_buy else Order.Direction.BUY,
        requested_volume=closed,
        volume=closed,
        position_ticket=position.ticket,
        opposite_ticket=opposite.ticket,
    )


def draft_cancel(
    account: AccountFacts,
    pending: PendingOrder,
    *,
    host: str = "",
    origin: str,
    enforcement_id: UUID | None = None,
    now: datetime,
) -> Order:
    """Delete a pending order."""
    return draft(
        account,
        Order.Kind.CANCEL,
        host=host,
        origin=origin,
        now=now,
        enforcement_id=enforcement_id,
        symbol=pending.symbol,
        direction=Order.Direction.BUY if pending.type % 2 == BUY else Order.Direction.SELL,
        requested_volume=pending.volume_left,
        volume=pending.volume_left,
        order_ticket=pending.ticket,
    )

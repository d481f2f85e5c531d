"""Taking one provider's rows out of a batch."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accounts.core.zones import broker_zone, from_broker_epoch
from accounts.terminals.readings import ReadingBatch, Rows
from accounts.terminals.row_marks import row_marks
from copytrade.core.kinds import OrderType
from copytrade.watching.facts import (
    AccountReading,
    HeldPosition,
    NewDeal,
    WaitingOrder,
    WatchedProvider,
)

BUY: Final = 0  # POSITION_TYPE_BUY and DEAL_TYPE_BUY
SELL: Final = 1
HEDGING: Final = 2  # ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
ORDER_TYPES: Final = {
    2: OrderType.LIMIT, 3: OrderType.LIMIT, 4: OrderType.STOP, 5: OrderType.STOP,
    6: OrderType.STOP_LIMIT, 7: OrderType.STOP_LIMIT,
}  # fmt: skip
_POSITION_MARKS: Final = ("identifier", "symbol", "type", "volume", "sl", "tp", "magic")
_ORDER_MARKS: Final = (
    "ticket", "symbol", "type", "volume", "price_open", "price_stoplimit", "sl", "tp", "magic",
)  # fmt: skip
_LAST_INSTANT_MSC: Final = datetime(9000, 1, 1, tzinfo=UTC).timestamp() * 1000
_LONGEST_AGE_MSC: Final = 10 * 86_400_000


def lots_of(volume: float) -> Decimal:
    """Take a terminal's double for the lots that it stands for."""
    return Decimal(f"{volume:.8f}").normalize()


class BatchRows:
    """The rows of a batch by account; `mark` tells whether those of one have changed."""

    def __init__(self, batch: ReadingBatch) -> None:
        # Plain lists and bytes: looking into arrays place by place costs several times as much.
        self.batch = batch
        self.looks: list[int] = batch.accounts["look"].tolist()
        self.last_deals: list[int] = batch.accounts["last_deal"].tolist()
        places = np.arange(len(batch.accounts) + 1)
        self._positions = _bounds(batch.positions, places)
        self._orders = _bounds(batch.orders, places)
        self._deals = _bounds(batch.deals, places)
        position_marks = row_marks(batch.positions, _POSITION_MARKS)
        order_marks = row_marks(batch.orders, _ORDER_MARKS)
        self._position_bytes = position_marks.tobytes(), position_marks.itemsize
        self._order_bytes = order_marks.tobytes(), order_marks.itemsize

    def has_deals(self, place: int) -> bool:
        return self._deals[place] < self._deals[place + 1]

    def newest_deal(self, place: int) -> int:
        """Return the ticket of the newest deal that the batch brought, 0 for none."""
        deals = _slice(self.batch.deals, self._deals, place)
        return int(deals["ticket"].max()) if len(deals) else 0

    def mark(self, place: int) -> tuple[bytes, bytes]:
        """Return what stays the same as long as no position or order does anything but float."""
        return (
            _bytes(self._position_bytes, self._positions, place),
            _bytes(self._order_bytes, self._orders, place),
        )

    def reading(self, place: int, provider: WatchedProvider, now: datetime) -> AccountReading:
        """Return what one account shows. What its broker dates after `now` has happened by now."""
        clock = BrokerClock(provider.broker_zone, now, int(self.batch.accounts["tick_msc"][place]))
        symbols = self.batch.symbols
        held = _dicts(_slice(self.batch.positions, self._positions, place))
        waiting = _dicts(_slice(self.batch.orders, self._orders, place))
        return AccountReading(
            positions={row["identifier"]: _position(row, symbols) for row in held},
            orders={
                row["ticket"]: _order(row, symbols, clock)
                for row in waiting
                if row["type"] in ORDER_TYPES
            },
            deals=tuple(
                _deal(row, symbols, clock)
                for row in sorted(
                    _dicts(_slice(self.batch.deals, self._deals, place)),
                    key=lambda row: row["ticket"],
                )
                if row["type"] in (BUY, SELL) and row["position"]
            ),
            is_hedging=int(self.batch.accounts["margin_mode"][place]) == HEDGING,
        )


def instant_of(broker_msc: int, zone: str, now: datetime) -> datetime:
    """Return the moment at which a broker's clock showed `broker_msc`, `now` at the latest."""
    return BrokerClock(zone, now).instant(broker_msc)


class BrokerClock:
    """Turns a broker's times into ours, as far as its clock keeps the zone that it should keep.

    Where it is ahead of that, its newest tick still tells how old something is at least.
    """

    def __init__(self, zone: str, now: datetime, tick_msc: int = 0) -> None:
        self._zone = broker_zone(zone)
        self._now = now
        self._tick_msc = tick_msc

    def instant(self, msc: int) -> datetime:
        if not 0 <= msc < _LAST_INSTANT_MSC:
            return self._now
        at = datetime.fromtimestamp(from_broker_epoch(msc / 1000.0, self._zone), UTC)
        age_msc = min(max(self._tick_msc - msc, 0), _LONGEST_AGE_MSC)
        return min(at, self._now - timedelta(milliseconds=age_msc))


def _bounds(rows: Rows, places: npt.NDArray[np.int64]) -> list[int]:
    """Return where each account's rows begin, which are sorted by account."""
    bounds: list[int] = np.searchsorted(rows["account"], places).tolist()
    return bounds


def _slice(rows: Rows, bounds: Sequence[int], place: int) -> Rows:
    part: Rows = rows[bounds[place] : bounds[place + 1]]
    return part


def _bytes(memory: tuple[bytes, int], bounds: Sequence[int], place: int) -> bytes:
    every, size = memory
    return every[bounds[place] * size : bounds[place + 1] * size]


def _dicts(rows: Rows) -> list[dict[str, Any]]:
    names = rows.dtype.names or ()
    return [dict(zip(names, values, strict=True)) for values in rows.tolist()]


def _name(symbols: Sequence[str], number: int) -> str:
    return symbols[number] if number >= 0 else ""


def _position(row: dict[str, Any], symbols: Sequence[str]) -> HeldPosition:
    return HeldPosition(
        identifier=row["identifier"],
        symbol=_name(symbols, row["symbol"]),
        is_buy=row["type"] == BUY,
        lots=lots_of(row["volume"]),
        stop_loss=row["sl"],
        take_profit=row["tp"],
        magic=row["magic"],
    )


def _order(row: dict[str, Any], symbols: Sequence[str], clock: BrokerClock) -> WaitingOrder:
    order_type = ORDER_TYPES[row["type"]]
    return WaitingOrder(
        ticket=row["ticket"],
        symbol=_name(symbols, row["symbol"]),
        is_buy=row["type"] % 2 == BUY,
        order_type=order_type,
        lots=lots_of(row["volume"]),
        price=row["price_open"],
        placed_at=clock.instant(row["time_msc"]),
        stop_loss=row["sl"],
        take_profit=row["tp"],
        magic=row["magic"],
        stop_limit_price=row["price_stoplimit"] if order_type is OrderType.STOP_LIMIT else None,
    )


def _deal(row: dict[str, Any], symbols: Sequence[str], clock: BrokerClock) -> NewDeal:
    return NewDeal(
        ticket=row["ticket"],
        order=row["order"],
        position=row["position"],
        symbol=_name(symbols, row["symbol"]),
        is_buy=row["type"] == BUY,
        entry=row["entry"],
        reason=row["reason"],
        lots=lots_of(row["volume"]),
        price=row["price"],
        magic=row["magic"],
        happened_at=clock.instant(row["time_msc"]),
    )

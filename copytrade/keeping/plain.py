"""Plain ends of copies, a hundred at once: filled opens, and whole closes of one position.

Nearly all that a crowd does is of this kind, so no row of it becomes an object. What is anything
else, or has changed between the look and the writing, is left to `outcomes`, which says the same
of these: see the tests.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model

from accounts.core.right_of_way import RIGHT_OF_WAY
from copytrade.core.kinds import EventKind
from copytrade.keeping.slippage import Slippages
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.publishing import ring_ledgers
from risk.models import Order

_QUERY_IDS: Final = 500
# On SQLite everybody else who writes waits for such a part.
_TOGETHER: Final = 100
_Tickets = Mapping[tuple[UUID, str], int]


class Fill(NamedTuple):
    """One filled order, its copy and the position; moments as the database's driver has them."""

    copy_id: UUID
    order_id: UUID
    provider_id: UUID
    account_id: UUID
    position_id: UUID
    server: str
    login: int
    symbol: str
    direction: str
    fill_price: float | None
    filled_volume: Decimal
    order_ticket: int | None
    provider_price: float | None
    held_volume: Any
    follower_position: int | None
    gated_at: Any
    sent_at: Any
    answered_at: Any


_COLUMNS: Final = """
    c.id, o.id, c.provider_id, o.account_id, p.id, o.server, o.login, o.symbol, o.direction,
    o.fill_price, o.filled_volume, o.order_ticket, e.price, p.volume, c.follower_position,
    COALESCE(c.gated_at, o.gated_at), COALESCE(c.sent_at, o.sent_at),
    COALESCE(o.reconciled_at, o.answered_at)
"""
# States are compared as expressions, for which there is no index: a row is found by its keys alone.
# PostgreSQL, which has last counted when none was in that state, would begin with all that are, and
# look through all of the next table for each: a minute for a crowd of 5,000.
_OPEN: Final = "p.id = c.id AND e.kind = %s AND o.kind || '' = %s AND p.state || '' = %s"
_CLOSE: Final = """
    p.provider_id = c.provider_id AND p.provider_position = e.position_ticket
    AND p.relationship_id = c.relationship_id
    AND e.kind = %s AND o.kind || '' = %s AND p.state || '' = %s
    AND p.direction <> o.direction AND p.volume <= o.filled_volume
    AND NOT EXISTS (
        SELECT 1 FROM {positions} other WHERE other.provider_id = p.provider_id
        AND other.provider_position = p.provider_position
        AND other.relationship_id = p.relationship_id
        AND other.id <> p.id AND other.state || '' IN (%s, %s, %s)
    )
"""


def settle_plain(
    order_ids: Sequence[UUID], now: datetime, *, slippages: Slippages, tickets: _Tickets
) -> dict[UUID, UUID]:
    """Take in the plain ends among those of these orders; return which that were, with followers.

    Opens come before closes, which may be those of the same positions.
    """
    taken: dict[UUID, UUID] = {}
    for first in range(0, len(order_ids), _QUERY_IDS):
        taken |= _settle(_opened(order_ids[first : first + _QUERY_IDS]), _write_open,
                         now, slippages, tickets)  # fmt: skip
    left = [pk for pk in order_ids if pk not in taken]
    for first in range(0, len(left), _QUERY_IDS):
        taken |= _settle(_closed(left[first : first + _QUERY_IDS]), _write_close,
                         now, slippages, {})  # fmt: skip
    return taken


def _opened(order_ids: Sequence[UUID]) -> list[Fill]:
    kinds = (EventKind.OPEN.value, Order.Kind.OPEN.value, CopyPosition.State.OPENING.value)
    return list(_filled(_OPEN, kinds, order_ids))


def _closed(order_ids: Sequence[UUID]) -> list[Fill]:
    kinds = (EventKind.CLOSE.value, Order.Kind.CLOSE.value, CopyPosition.State.CLOSING.value)
    held = [state.value for state in CopyPosition.HELD]
    return list(_filled(_CLOSE, (*kinds, *held), order_ids))


def _filled(condition: str, values: Sequence[str], order_ids: Sequence[UUID]) -> Iterator[Fill]:
    """Look for filled orders of copies that wait for them, in the order of the copies' keys."""
    ended = (CopyOrder.State.ORDERED.value, Order.State.FILLED.value)
    with connection.cursor() as cursor:
        statement = _statement(condition, len(order_ids))
        cursor.execute(statement, [*values, *map(_plain, order_ids), *ended])
        yield from _told(cursor.fetchall())


def _told(rows: Sequence[Sequence[Any]]) -> Iterator[Fill]:
    for row in rows:
        ids = [one if isinstance(one, UUID) else UUID(one) for one in row[:5]]
        yield Fill._make([*ids, *row[5:10], _exact(row[10]), *row[11:]])


def _statement(condition: str, count: int) -> str:
    positions = _table(CopyPosition)
    places = ", ".join(["%s"] * count)
    return f"""
        SELECT {_COLUMNS} FROM {_table(CopyOrder)} c
        JOIN {_table(Order)} o ON o.id = c.order_id
        JOIN {_table(CopyEvent)} e ON e.id = c.event_id
        JOIN {positions} p ON {condition.format(positions=positions)}
        WHERE c.order_id IN ({places}) AND c.state || '' = %s AND c.answered_at IS NULL
        AND c.filled_volume IS NULL AND o.state || '' = %s AND o.filled_volume > 0
        ORDER BY c.id
    """  # noqa: S608  # names of our own models


def _settle(
    fills: Sequence[Fill],
    write: Callable[[Sequence[Fill], Any, _Tickets], bool],
    now: datetime,
    slippages: Slippages,
    tickets: _Tickets,
) -> dict[UUID, UUID]:
    slippages.learn(fills, now)
    moment = connection.ops.adapt_datetimefield_value(now)
    taken: dict[UUID, UUID] = {}
    for first in range(0, len(fills), _TOGETHER):
        part = fills[first : first + _TOGETHER]
        changes = [_change(fill, moment, slippages, tickets) for fill in part]
        RIGHT_OF_WAY.give()
        with transaction.atomic():
            is_written = _write_copies(changes) and write(part, moment, tickets)
            if not is_written:
                transaction.set_rollback(True)
        if is_written:
            taken.update((fill.order_id, fill.account_id) for fill in part)
            ring_ledgers({fill.provider_id for fill in part})
    return taken


def _change(fill: Fill, moment: Any, slippages: Slippages, tickets: _Tickets) -> list[Any]:
    points, money = slippages.of(fill, fill.provider_price, fill.filled_volume)
    return [
        CopyOrder.State.DONE.value,
        moment,
        fill.answered_at or moment,
        fill.gated_at,
        fill.sent_at,
        str(fill.filled_volume),
        points,
        money,
        _ticket(fill, tickets) if fill.position_id == fill.copy_id else fill.follower_position,
        _plain(fill.copy_id),
        _plain(fill.order_id),
        CopyOrder.State.ORDERED.value,
    ]


def _ticket(fill: Fill, tickets: _Tickets) -> int | None:
    return tickets.get((fill.account_id, fill.symbol)) or fill.order_ticket


def _write_copies(changes: Sequence[Sequence[Any]]) -> bool:
    return _are_all_changed(
        f"""UPDATE {_table(CopyOrder)} SET state = %s, ended_at = %s, answered_at = %s,
        gated_at = %s, sent_at = %s, filled_volume = %s, slippage_points = %s,
        slippage_money = %s, follower_position = %s
        WHERE id = %s AND order_id = %s AND state || '' = %s AND answered_at IS NULL""",  # noqa: S608  # names of our own models
        changes,
    )


def _write_open(part: Sequence[Fill], _moment: Any, tickets: _Tickets) -> bool:
    state = CopyPosition.State
    return _are_all_changed(
        f"""UPDATE {_table(CopyPosition)} SET volume = %s, follower_position = %s,
        state = CASE WHEN closes_on_fill THEN %s ELSE %s END
        WHERE id = %s AND state || '' = %s""",  # noqa: S608  # as above
        [
            [str(fill.filled_volume), _ticket(fill, tickets), state.CLOSING.value,
             state.OPEN.value, _plain(fill.position_id), state.OPENING.value]
            for fill in part
        ],
    )  # fmt: skip


def _write_close(part: Sequence[Fill], moment: Any, _tickets: _Tickets) -> bool:
    state = CopyPosition.State
    # In the order in which everybody locks positions.
    ordered = sorted(part, key=lambda fill: fill.position_id)
    return _are_all_changed(
        f"""UPDATE {_table(CopyPosition)} SET volume = 0, state = %s, closed_at = %s
        WHERE id = %s AND state || '' = %s AND volume = %s""",  # noqa: S608  # as above
        [
            [state.CLOSED.value, moment, _plain(fill.position_id), state.CLOSING.value,
             fill.held_volume]
            for fill in ordered
        ],
    )  # fmt: skip


def _are_all_changed(statement: str, rows: Sequence[Sequence[Any]]) -> bool:
    with connection.cursor() as cursor:
        cursor.executemany(statement, rows)
        return bool(cursor.rowcount == len(rows))


def _table(model: type[Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _plain(key: UUID) -> Any:
    return key if connection.vendor == "postgresql" else key.hex


def _exact(volume: Any) -> Decimal:
    return volume if isinstance(volume, Decimal) else Decimal(str(volume))

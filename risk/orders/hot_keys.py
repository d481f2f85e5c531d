"""Orders on their way, and those that wait at a broker, as the hot state says them."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Final

from django.db.models import QuerySet

from accounts.key_mirror import Value
from accounts.redis import order_data_key, order_triggers_key
from risk.models import Order

REGISTER = "orders"
# Most orders are over before anybody could have read their keys; those of a crowd come together.
YOUNGEST: Final = timedelta(seconds=1)
_DATA = (
    "account_id",
    "kind",
    "origin",
    "state",
    "symbol",
    "direction",
    "type",
    "volume",
    "order_ticket",
    "position_ticket",
    "created_at",
    "sent_at",
)
_QUERY_TAGS: Final = 500
_WHAT = ("symbol", "direction", "type")
_PRICES = ("price", "stop_limit_price", "stop_loss", "take_profit")


def order_keys(host: str, waiting_tags: Iterable[int] | None, now: datetime) -> dict[str, Value]:
    """Return the keys of a host's orders that wait at a broker, or are under way for a second.

    `waiting_tags` are the magic numbers of the orders that wait at the brokers, by the newest
    readings; None takes all that the database knows as placed.
    """
    on_host = Order.objects.filter(host=host).order_by()
    names = ("id", *_DATA, *_PRICES)
    keys: dict[str, Value] = {}
    for row in chain(
        on_host.unfinished().filter(created_at__lte=now - YOUNGEST).values(*names),
        *(part.values(*names) for part in _placed(on_host, waiting_tags)),
    ):
        keys[order_data_key(row["id"])] = _fields(row, (*_DATA, *_PRICES))
        triggers = [name for name in _PRICES if row[name]]
        if triggers:
            keys[order_triggers_key(row["id"])] = _fields(row, (*_WHAT, *triggers))
    return keys


def _placed(
    on_host: QuerySet[Order], waiting_tags: Iterable[int] | None
) -> Iterator[QuerySet[Order]]:
    placed = on_host.filter(state=Order.State.PLACED, kind=Order.Kind.PLACE)
    if waiting_tags is None:
        yield placed
        return
    tags = list(waiting_tags)
    for first in range(0, len(tags), _QUERY_TAGS):
        yield placed.filter(tag__in=tags[first : first + _QUERY_TAGS])


def _fields(row: dict[str, object], names: Iterable[str]) -> dict[str, str | int | float]:
    return {name: _plain(row[name]) for name in names if row[name] not in (None, "")}


def _plain(value: object) -> str | int | float:
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, datetime) else str(value)

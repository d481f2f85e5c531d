"""Deals on their way from a reading into the database."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Max

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.core.zones import broker_zone, from_broker_epoch
from accounts.models import ConnectedAccount, Deal
from accounts.sessions.poll import Poll
from accounts.terminals.readings import Rows

logger = logging.getLogger(__name__)

_MONEY = ("commission", "swap", "profit", "fee")
# More than this cannot be money, and no column takes it.
MOST_MONEY = 1e13
_MOST_LOTS = 1e9
_MOST_MSC = 253_370_764_800_000  # the year 9999
# A history is compared with what is stored; of a few deals the database itself knows which are new.
_FEW_DEALS = 20
_LONGEST_SYMBOL = 64
# On SQLite everybody else who writes waits for such a part.
_TOGETHER_ROWS = 100
# 19 columns each: SQLite may have been built for 999 values in a statement.
_STATEMENT_ROWS = 50
# Another process stores the same deals only while it takes this host over.
_MOST_TRIES = 3
_QUERY_IDS = 1000

Flags = npt.NDArray[np.bool_]
Login = tuple[UUID, str, int]  # account, server, login: whose deals they are


@dataclass(frozen=True, slots=True)
class NewDeals:
    """Deals as a poll brought them, with the names that their numbers stand for.

    `held` names the positions that the same reading shows open on the accounts with deals.
    `price_digits` has the digits of prices by server and symbol, of what any account has open.
    """

    rows: Rows
    symbols: tuple[str, ...]
    logins: Mapping[int, Login]  # by the number in `rows["account"]`
    read_at: datetime
    held: frozenset[tuple[UUID, int]]  # account, the position's identifier
    price_digits: Mapping[tuple[str, str], int]


class NewDeal(NamedTuple):
    """A deal as it is stored: the columns of `Deal` under their names in the database."""

    account_id: UUID
    server: str
    login: int
    ticket: int
    order: int
    position: int
    time: datetime
    time_msc: int
    type: int
    entry: int
    reason: int
    symbol: str
    volume_lots: Decimal
    price: float
    commission: Decimal
    swap: Decimal
    profit: Decimal
    fee: Decimal
    magic: int


# Is told what will be stored for the first time, and finds words for it; what it returns writes
# them, in the transaction that stores the deals. Asked again when some were stored meanwhile.
Tell = Callable[[NewDeals, Sequence[NewDeal]], Callable[[], object] | None]


def new_deals(poll: Poll) -> NewDeals | None:
    """Take the deals out of a poll; None when it has none."""
    rows = poll.deals
    if not len(rows):
        return None
    accounts, servers = poll.batch.accounts, poll.batch.servers
    logins = {
        row: (
            poll.account_ids[row],
            servers[int(accounts["server"][row])],
            int(accounts["login"][row]),
        )
        for row in np.unique(rows["account"]).tolist()
    }
    digits = _price_digits(poll)
    positions = poll.batch.positions
    positions = positions[np.isin(positions["account"], list(logins))]
    held = frozenset(
        (poll.account_ids[row], identifier)
        for row, identifier in zip(
            positions["account"].tolist(), positions["identifier"].tolist(), strict=True
        )
    )
    return NewDeals(rows.copy(), poll.batch.symbols, logins, poll.now, held, digits)


def _price_digits(poll: Poll) -> dict[tuple[str, str], int]:
    batch = poll.batch
    positions = batch.positions
    servers = batch.accounts["server"][positions["account"]].astype(np.int64)
    # One number each: to sort rows of three takes several times as long.
    kinds = (
        (servers << 40) + (positions["symbol"].astype(np.int64) << 8) + positions["price_digits"]
    )
    _, places = np.unique(kinds[servers >= 0], return_index=True)
    found = positions[servers >= 0][places]
    return {
        (batch.servers[server], batch.symbols[symbol]): digits
        for server, symbol, digits in zip(
            batch.accounts["server"][found["account"]].tolist(),
            found["symbol"].tolist(),
            found["price_digits"].tolist(),
            strict=True,
        )
    }


def stored_deals(account_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the newest stored deal of each account's present login; none is left out."""
    newest: dict[UUID, int] = {}
    for start in range(0, len(account_ids), _QUERY_IDS):
        rows = Deal.objects.filter(
            account__in=account_ids[start : start + _QUERY_IDS],
            server=F("account__server"),
            login=F("account__login"),
        ).order_by()
        newest.update(rows.values_list("account_id").annotate(newest=Max("ticket")))
    return newest


def write_deals(new: NewDeals, tell: Tell | None = None) -> int:
    """Store the deals that are not stored yet and return how many were new or looked new.

    A deal that is told twice stays one. Deals of an account that is gone, and those that no broker
    could mean, are left out. In the order of their tickets: the newest stored one tells that those
    before it are stored, too. `tell` gets those that are new: what it writes is stored with them,
    or neither is.
    """
    zones = _zones({login[0] for login in new.logins.values()})
    newest = _newest(_told_at_length(new))
    written = 0
    for batch in _batches(_deals(new, zones, newest), _TOGETHER_ROWS):
        RIGHT_OF_WAY.give()
        if tell is None:
            with transaction.atomic(savepoint=False):
                _insert(batch)
        else:
            _store_and_tell(batch, tell, new)
        written += len(batch)
    return written


class _StoredBeforeError(Exception):
    """Some of the deals were stored already, so the words for them would be told again."""


def _store_and_tell(deals: Sequence[NewDeal], tell: Tell, new: NewDeals) -> None:
    unstored = deals
    for _ in range(_MOST_TRIES):
        write = _worded(tell, new, unstored)
        try:
            with transaction.atomic():
                if _insert(unstored) < len(unstored):
                    raise _StoredBeforeError
                if write is not None:
                    _tell(write, len(unstored))
            return
        except _StoredBeforeError:
            unstored = _unstored(deals)
            if not unstored:
                return
    raise OperationalError("Others store the same deals at the same time.")


def _worded(tell: Tell, new: NewDeals, deals: Sequence[NewDeal]) -> Callable[[], object] | None:
    """Have words found for deals; those that go wrong must not cost the deals."""
    try:
        return tell(new, deals)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("%d new deals could not be told.", len(deals))
        return None


def _tell(write: Callable[[], object], count: int) -> None:
    try:
        with transaction.atomic():
            write()
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("%d new deals could not be told.", count)


def _unstored(deals: Sequence[NewDeal]) -> list[NewDeal]:
    """Leave out the deals that were stored before, and those that come twice."""
    rows = Deal.objects.filter(
        account__in={deal.account_id for deal in deals},
        ticket__in=[deal.ticket for deal in deals],
    ).order_by()
    stored = set(rows.values_list("account_id", "server", "login", "ticket"))
    return list({deal[:4]: deal for deal in deals if deal[:4] not in stored}.values())


def _insert(deals: Sequence[NewDeal]) -> int:
    """Insert what is not there, in the caller's transaction; return how many that were."""
    rows: Sequence[Sequence[Any]] = deals
    if connection.vendor != "postgresql":
        adapt = connection.ops.adapt_datetimefield_value
        rows = [
            [adapt(value) if type(value) is datetime else _PLAIN.get(type(value), _same)(value)
             for value in deal]
            for deal in deals
        ]  # fmt: skip
    count = 0
    with connection.cursor() as cursor:
        for first in range(0, len(rows), _STATEMENT_ROWS):
            some = rows[first : first + _STATEMENT_ROWS]
            cursor.execute(_statement(len(some)), [value for row in some for value in row])
            count += cursor.rowcount
    return count


_PLAIN: dict[type, Callable[[Any], Any]] = {UUID: lambda value: value.hex, Decimal: str}


def _same(value: Any) -> Any:
    return value


@lru_cache(maxsize=_STATEMENT_ROWS)
def _statement(count: int) -> str:
    quote = connection.ops.quote_name
    columns = ", ".join(map(quote, NewDeal._fields))
    row = f"({', '.join(['%s'] * len(NewDeal._fields))})"
    into = f"INSERT INTO {quote(Deal._meta.db_table)} ({columns})"
    return f"{into} VALUES {', '.join([row] * count)} ON CONFLICT DO NOTHING"


def _deals(
    new: NewDeals, zones: Mapping[UUID, tzinfo], newest: Mapping[Login, int]
) -> Iterator[NewDeal]:
    names = new.rows.dtype.names or ()
    for values, is_sound in zip(new.rows.tolist(), _are_sound(new.rows).tolist(), strict=True):
        row = dict(zip(names, values, strict=True))
        login = new.logins[row["account"]]
        zone = zones.get(login[0])
        if zone is None or row["ticket"] <= newest.get(login, 0):
            continue
        if not is_sound:
            logger.error("Deal %d of %s cannot be true; it is left out.", row["ticket"], login[0])
            continue
        yield _deal(row, login, new.symbols, zone)


def _are_sound(rows: Rows) -> Flags:
    """Tell which deals the database can take: one that it refuses would take others with it."""
    # What is no number is no less than anything either.
    is_money = [np.abs(rows[name]) < MOST_MONEY for name in ("price", *_MONEY)]
    is_volume = np.abs(rows["volume"]) < _MOST_LOTS
    is_time = (rows["time_msc"] >= 0) & (rows["time_msc"] < _MOST_MSC)
    result: Flags = np.all([*is_money, is_volume, is_time], axis=0)
    return result


def _deal(row: dict[str, Any], login: Login, symbols: Sequence[str], zone: tzinfo) -> NewDeal:
    account_id, server, number = login
    commission, swap, profit, fee = (_exact(row[name], 4) for name in _MONEY)
    return NewDeal(
        account_id,
        server,
        number,
        row["ticket"],
        row["order"],
        row["position"],
        _instant(row["time_msc"], zone),
        row["time_msc"],
        row["type"],
        row["entry"],
        row["reason"],
        symbols[row["symbol"]][:_LONGEST_SYMBOL] if row["symbol"] >= 0 else "",
        _exact(row["volume"], 8),
        row["price"],
        commission,
        swap,
        profit,
        fee,
        row["magic"],
    )


# Those of a crowd share their moment, and their figures.
@lru_cache(maxsize=256)
def _instant(time_msc: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(from_broker_epoch(time_msc / 1000.0, zone), UTC)


@lru_cache(maxsize=1024)
def _exact(value: float, places: int) -> Decimal:
    return Decimal(f"{value:.{places}f}")


def _zones(account_ids: set[UUID]) -> dict[UUID, tzinfo]:
    accounts = ConnectedAccount.with_archived.filter(pk__in=account_ids).order_by()
    return {
        account_id: broker_zone(name)
        for account_id, name in accounts.values_list("pk", "broker_time_zone")
    }


def _told_at_length(new: NewDeals) -> set[UUID]:
    """Return the accounts of which so many deals came that most may be stored already."""
    numbers, counts = np.unique(new.rows["account"], return_counts=True)
    return {new.logins[number][0] for number in numbers[counts > _FEW_DEALS].tolist()}


def _newest(account_ids: set[UUID]) -> dict[Login, int]:
    """Return the newest stored deal of each login that these accounts have had."""
    if not account_ids:
        return {}
    rows = Deal.objects.filter(account__in=account_ids).order_by()
    newest = rows.values_list("account_id", "server", "login").annotate(newest=Max("ticket"))
    return {(account, server, login): ticket for account, server, login, ticket in newest}


def _batches(deals: Iterator[NewDeal], most: int) -> Iterator[list[NewDeal]]:
    batch: list[NewDeal] = []
    for deal in deals:
        batch.append(deal)
        if len(batch) == most:
            yield batch
            batch = []
    if batch:
        yield batch

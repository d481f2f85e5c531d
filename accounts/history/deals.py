"""Deals on their way from a reading into the database."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Max

from accounts.core.zones import from_broker_epoch
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
_INSERT_ROWS = 1000
# What is told as well takes longer, and a tick may want to write meanwhile.
_TOLD_ROWS = 200
_QUERY_IDS = 1000

Flags = npt.NDArray[np.bool_]
Login = tuple[UUID, str, int]  # account, server, login: whose deals they are


@dataclass(frozen=True, slots=True)
class NewDeals:
    """Deals as a poll brought them, with the names that their numbers stand for.

    `held` names the positions that the same reading shows open on the accounts with deals.
    """

    rows: Rows
    symbols: tuple[str, ...]
    logins: Mapping[int, Login]  # by the number in `rows["account"]`
    read_at: datetime
    held: frozenset[tuple[UUID, int]]  # account, the position's identifier


# Is told which deals are stored for the first time, in the transaction that stores them.
Tell = Callable[[NewDeals, Sequence[Deal]], object]


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
    positions = poll.batch.positions
    positions = positions[np.isin(positions["account"], list(logins))]
    held = frozenset(
        (poll.account_ids[row], identifier)
        for row, identifier in zip(
            positions["account"].tolist(), positions["identifier"].tolist(), strict=True
        )
    )
    return NewDeals(rows.copy(), poll.batch.symbols, logins, poll.now, held)


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
    before it are stored, too. `tell` gets those that were new: what it writes is stored with them,
    or neither is.
    """
    zones = _zones({login[0] for login in new.logins.values()})
    newest = _newest(_told_at_length(new))
    written = 0
    most = _INSERT_ROWS if tell is None else _TOLD_ROWS
    for batch in _batches(_deals(new, zones, newest), most):
        if tell is None:
            Deal.objects.bulk_create(batch, ignore_conflicts=True)
        else:
            _store_and_tell(batch, tell, new)
        written += len(batch)
    return written


@transaction.atomic
def _store_and_tell(deals: Sequence[Deal], tell: Tell, new: NewDeals) -> None:
    unstored = _unstored(deals)
    Deal.objects.bulk_create(deals, ignore_conflicts=True)
    if unstored:
        _tell(tell, new, unstored)


def _unstored(deals: Sequence[Deal]) -> list[Deal]:
    """Leave out the deals that were stored before: the insert itself does not say which."""
    rows = Deal.objects.filter(
        account__in={deal.account_id for deal in deals},
        ticket__in=[deal.ticket for deal in deals],
    ).order_by()
    stored = set(rows.values_list("account_id", "server", "login", "ticket"))
    return [
        deal
        for deal in deals
        if (deal.account_id, deal.server, deal.login, deal.ticket) not in stored
    ]


def _tell(tell: Tell, new: NewDeals, deals: Sequence[Deal]) -> None:
    """Have new deals told; words that go wrong must not cost the deals."""
    try:
        with transaction.atomic():
            tell(new, deals)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("%d new deals could not be told.", len(deals))


def _deals(
    new: NewDeals, zones: Mapping[UUID, tzinfo], newest: Mapping[Login, int]
) -> Iterator[Deal]:
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


def _deal(row: dict[str, Any], login: Login, symbols: Sequence[str], zone: tzinfo) -> Deal:
    account_id, server, number = login
    instant = from_broker_epoch(row["time_msc"] / 1000.0, zone)
    return Deal(
        account_id=account_id,
        server=server,
        login=number,
        ticket=row["ticket"],
        order=row["order"],
        position=row["position"],
        time=datetime.fromtimestamp(instant, UTC),
        time_msc=row["time_msc"],
        type=row["type"],
        entry=row["entry"],
        reason=row["reason"],
        symbol=symbols[row["symbol"]][:_LONGEST_SYMBOL] if row["symbol"] >= 0 else "",
        volume_lots=Decimal(f"{row['volume']:.8f}"),
        price=row["price"],
        magic=row["magic"],
        **{name: Decimal(f"{row[name]:.4f}") for name in _MONEY},
    )


def _zones(account_ids: set[UUID]) -> dict[UUID, tzinfo]:
    accounts = ConnectedAccount.with_archived.filter(pk__in=account_ids)
    return {account.pk: account.broker_zone for account in accounts.only("broker_time_zone")}


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


def _batches(deals: Iterator[Deal], most: int) -> Iterator[list[Deal]]:
    batch: list[Deal] = []
    for deal in deals:
        batch.append(deal)
        if len(batch) == most:
            yield batch
            batch = []
    if batch:
        yield batch

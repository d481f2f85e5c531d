"""What the ledgers and the broker say when all is over, read once and laid out for the checks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from accounts.models import ConnectedAccount
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from risk.models import Order
from tradeguard.soaking.cast import Cast, Pair
from tradeguard.soaking.market import Dealt, Held, Market, Waiting

IN, _OUT, INOUT = range(3)  # DEAL_ENTRY_*
BY_PROGRAM = 3  # DEAL_REASON_EXPERT


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """One account at its broker."""

    positions: Sequence[Held]
    waiting: Sequence[Waiting]
    past: Sequence[Waiting]
    deals: Sequence[Dealt]


class Records:
    """All that the checks look at."""

    def __init__(self, cast: Cast, market: Market) -> None:
        self.cast = cast
        self.market = market
        self.events = {event.pk: event for event in CopyEvent.objects.all()}
        self.copies = list(CopyOrder.objects.order_by("planned_at", "pk"))
        self.positions = list(CopyPosition.objects.all())
        self.orders = {order.pk: order for order in Order.objects.all()}
        self.accounts: dict[UUID, AccountRecord] = {
            account.pk: _record(account, market) for account in cast.accounts
        }
        self._terms: dict[tuple[UUID, str], tuple[Decimal, Decimal]] = {}

    @cached_property
    def copy_of(self) -> Mapping[tuple[UUID, UUID], CopyOrder]:
        return {(copy.relationship_id, copy.event_id): copy for copy in self.copies}

    @cached_property
    def order_by_tag(self) -> Mapping[int, Order]:
        return {order.tag: order for order in self.orders.values()}

    @cached_property
    def events_by_deal(self) -> Mapping[tuple[UUID, int], list[CopyEvent]]:
        found: dict[tuple[UUID, int], list[CopyEvent]] = defaultdict(list)
        for event in self.events.values():
            if event.deal_ticket is not None:
                found[event.provider_id, event.deal_ticket].append(event)
        return found

    @cached_property
    def rows_of(self) -> Mapping[UUID, list[CopyPosition]]:
        """The copied positions by relationship."""
        found: dict[UUID, list[CopyPosition]] = defaultdict(list)
        for row in self.positions:
            found[row.relationship_id].append(row)
        return found

    @cached_property
    def placed_events(self) -> Mapping[tuple[UUID, int], CopyEvent]:
        return {
            (event.provider_id, event.order_ticket): event
            for event in self.events.values()
            if event.kind == EventKind.PENDING_PLACED and event.order_ticket is not None
        }

    def open_event(self, provider: ConnectedAccount, deal: Dealt) -> CopyEvent | None:
        events = self.events_by_deal.get((provider.pk, deal.ticket), [])
        return next((event for event in events if event.kind == EventKind.OPEN), None)

    def steps(self, pair: Pair, symbol: str) -> tuple[Decimal, Decimal]:
        """Return the smallest volume and the step of a follower's symbol."""
        key = (pair.follower.pk, symbol)
        if key not in self._terms:
            terms = self.market.terms(pair.follower, symbol)
            least = Decimal("0.01") if terms is None else Decimal(repr(terms.volume_min))
            self._terms[key] = (least, Decimal("0.01") if terms is None else terms.step)
        return self._terms[key]

    def of(self, account: ConnectedAccount) -> AccountRecord:
        return self.accounts[account.pk]


def _record(account: ConnectedAccount, market: Market) -> AccountRecord:
    positions, waiting = market.positions(account), market.orders(account)
    if positions is None or waiting is None:
        raise RuntimeError(f"The broker does not say what {account.name} holds.")
    return AccountRecord(positions, waiting, market.past_orders(account), market.deals(account))


def text_of(value: Any) -> str:
    """Return lots without the zeros that a database adds."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)

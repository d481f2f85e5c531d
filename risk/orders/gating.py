"""The gate as a lane asks it: with the terms that this host's terminals tell."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from accounts.market_terms import TermsBook
from risk.core.gate.verdicts import GateDecision
from risk.gate import check_rows, decide_change, decide_orders
from risk.models import AccountLock, GateCheck, Order
from risk.orders.terminal import PendingOrder, Position
from risk.orders.view import HostView


class Gate(Protocol):
    """Decides about opens and changes; see `risk.gate`."""

    def decide(
        self,
        view: HostView,
        orders: Sequence[Order],
        *,
        in_flight: Sequence[Order],
        locks: Sequence[AccountLock],
        now: datetime,
    ) -> Sequence[GateDecision]: ...

    def decide_change(
        self,
        view: HostView,
        order: Order,
        before: Position | PendingOrder,
        *,
        in_flight: Sequence[Order],
        locks: Sequence[AccountLock],
        now: datetime,
    ) -> GateDecision: ...

    def check_rows(self, decision: GateDecision, now: datetime) -> Sequence[GateCheck]: ...


class HostGate:
    """Decides about the orders of one host's accounts; any lane may ask."""

    def __init__(self, book: TermsBook) -> None:
        self._book = book

    def decide(
        self,
        view: HostView,
        orders: Sequence[Order],
        *,
        in_flight: Sequence[Order],
        locks: Sequence[AccountLock],
        now: datetime,
    ) -> Sequence[GateDecision]:
        return decide_orders(
            view,
            orders,
            terms=self._book.terms,
            in_flight=in_flight,
            locks={lock.account_id: lock for lock in locks},
            now=now,
        )

    def decide_change(
        self,
        view: HostView,
        order: Order,
        before: Position | PendingOrder,
        *,
        in_flight: Sequence[Order],
        locks: Sequence[AccountLock],
        now: datetime,
    ) -> GateDecision:
        return decide_change(
            view,
            order,
            before,
            terms=self._book.terms,
            in_flight=in_flight,
            locks={lock.account_id: lock for lock in locks},
            now=now,
        )

    def check_rows(self, decision: GateDecision, now: datetime) -> Sequence[GateCheck]:
        return check_rows(decision, now)

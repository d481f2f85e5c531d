"""The orders of one account whose outcome is not known, and finding out what became of them."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models import QuerySet

from accounts.terminals.link import LinkError
from risk.desk import AccountFacts
from risk.ledger.entries import Change
from risk.ledger.host_ledger import HostLedger
from risk.models import Order
from risk.orders.moments import is_due
from risk.orders.reconciling import Evidence, StillUnderWay, found
from risk.orders.terminal import AccountTerminal

logger = logging.getLogger(__name__)

State = Order.State
# Two answers without the order, this far apart, say that it was never carried out.
ABSENCE_SECONDS: Final = 5.0
LOOK_AGAIN: Final = timedelta(seconds=1)


class Doubts:
    """Used by the lane of its account alone. `monotonic` is a clock that nobody sets."""

    def __init__(
        self,
        account: AccountFacts,
        terminal: AccountTerminal,
        *,
        host: str,
        ledger: HostLedger,
        monotonic: Callable[[], float],
        checkpoint: Callable[[str], None],
        tell: Callable[[Sequence[Order]], None],
    ) -> None:
        self._account = account
        self._terminal = terminal
        self._host = host
        self._ledger = ledger
        self._monotonic = monotonic
        self._checkpoint = checkpoint
        self._tell = tell
        self._zone = account.terms.broker_zone
        self._absent_since: dict[UUID, float] = {}  # by order
        self._remembered: dict[UUID, Order] = {}

    def note(self, orders: Iterable[Order]) -> None:
        """Remember which orders just ended in doubt, for when the database cannot be asked."""
        self._remembered.update({each.pk: each for each in orders if each.state == State.UNKNOWN})

    def orders(self) -> QuerySet[Order]:
        """Return those that the database knows; they were sent with the account's present login."""
        return self._of(State.UNKNOWN)

    def look(self, now: datetime) -> list[Order]:
        """Return the orders in doubt after another try to learn about them; from memory only while
        the database is away."""
        try:
            if self._ledger.is_behind and not self._ledger.catch_up():
                return list(self._remembered.values())
            unfinished = self._of(State.SENT, State.UNKNOWN)
            if unfinished.exists():
                self.settle(now)
            self._remembered = {order.pk: order for order in unfinished}
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("Orders in doubt are known from memory only: %s", error)
        return list(self._remembered.values())

    def settle(self, now: datetime) -> None:
        """Find out about the orders in doubt as far as that is possible now.

        Those that a worker left in the middle of being sent are among them.
        """
        self._of(State.SENT).update(
            state=State.UNKNOWN,
            message="The worker ended while it was being sent.",
            next_attempt_at=now,
        )
        doubtful = [order for order in self.orders() if is_due(order.next_attempt_at, now)]
        if not doubtful:
            return
        self._checkpoint("reconciling")
        since = min(order.sent_at or order.created_at for order in doubtful)
        evidence = Evidence(self._terminal, self._zone, since, now)
        try:
            evidence.read()
        except LinkError as error:
            logger.info("%s cannot be looked at: %s", self._account.name, error.text)
            self._put_off(doubtful, now)
            return
        self._ledger.write(*(self._settled(order, evidence, now) for order in doubtful))
        self._checkpoint("reconciled")
        self._tell(doubtful)

    def _of(self, *states: str) -> QuerySet[Order]:
        account = self._account
        return Order.objects.filter(
            host=self._host,
            account_id=account.id,
            login=account.login,
            server=account.server,
            state__in=states,
        ).order_by("created_at", "id")

    def _settled(self, order: Order, evidence: Evidence, now: datetime) -> Change:
        try:
            outcome = found(order, evidence)
        except StillUnderWay:
            values: dict[str, Any] = {"next_attempt_at": now + LOOK_AGAIN}
        else:
            if outcome is None:
                values = self._absent(order, now)
            else:
                settled = {"reconciled_at": now, "next_attempt_at": None}
                values = {**outcome.values(), **settled}
        for name, value in values.items():
            setattr(order, name, value)
        return Change(Order, order.pk, values, (State.UNKNOWN,))

    def _absent(self, order: Order, now: datetime) -> dict[str, Any]:
        """Count an answer without the order; the second one, long enough after, settles it.

        How long is measured by this process alone: a clock that was set proves nothing, and a
        successor begins anew.
        """
        moment = self._monotonic()
        first = self._absent_since.setdefault(order.pk, moment)
        left = ABSENCE_SECONDS - (moment - first)
        if left > 0:
            again_at = now + timedelta(seconds=left)
            return {"absences": 1, "absent_at": order.absent_at or now, "next_attempt_at": again_at}
        del self._absent_since[order.pk]
        return {
            "state": State.NOT_EXECUTED,
            "message": "The broker never carried it out.",
            "absences": 2,
            "reconciled_at": now,
            "next_attempt_at": None,
        }

    def _put_off(self, orders: Sequence[Order], now: datetime) -> None:
        again_at = now + LOOK_AGAIN
        self._ledger.write(
            *(Change(Order, one.pk, {"next_attempt_at": again_at}, (State.UNKNOWN,))
              for one in orders)
        )  # fmt: skip


def forget_connection() -> None:
    """Drop a connection that failed, unless it is in the middle of somebody's transaction."""
    if not connection.in_atomic_block:
        close_old_connections()

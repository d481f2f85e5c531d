"""One account's lane: everything that is sent to it goes through here, one thing after another."""

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, transaction

from accounts.sessions.lease import Fence, Standing
from accounts.terminals.link import LinkError
from risk.core.gate.verdicts import GateDecision, Verdict
from risk.desk import AccountFacts
from risk.gate.passing import may_pass_later
from risk.ledger.entries import Change, Insert
from risk.ledger.host_ledger import HostLedger
from risk.models import AccountLock, GateCheck, Order
from risk.orders.completion import complete
from risk.orders.doubts import Doubts
from risk.orders.flights import orders_in_flight
from risk.orders.gating import Gate
from risk.orders.moments import is_due
from risk.orders.outcomes import Outcome, expired, not_sent, refused, waiting
from risk.orders.sending import RETRY, Sender
from risk.orders.terminal import HEDGING, AccountTerminal, Calls, PendingOrder, Position
from risk.orders.view import HostView
from risk.orders.withdrawn import withdrawn

logger = logging.getLogger(__name__)

State = Order.State
_CHANGES = (Order.Kind.MODIFY_POSITION, Order.Kind.MODIFY_ORDER)


def no_checkpoint(name: str) -> None:
    """Pass a point at which a test might end the process."""
    del name


def tell_nobody(orders: Sequence[Order]) -> None:
    """Leave it at the ledger what became of these orders."""
    del orders


class Lane:
    """Sends one account's orders; used by one thread at a time.

    `view` gives the newest view, `clock` the present moment and `monotonic` the seconds of a clock
    that nobody sets; `checkpoint` is told at which step of an order's life the lane is, and `tell`
    which orders have just ended, or have not.
    """

    def __init__(
        self,
        account: AccountFacts,
        *,
        host: str,
        source: Calls,
        ledger: HostLedger,
        fence: Fence,
        view: Callable[[], HostView],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        gate: Gate,
        checkpoint: Callable[[str], None] = no_checkpoint,
        tell: Callable[[Sequence[Order]], None] = tell_nobody,
    ) -> None:
        self.account = account
        self.host = host
        self.ledger = ledger
        self.clock = clock
        self.terminal = AccountTerminal(source, account.login, account.server)
        self._fence = fence
        self._view = view
        self._gate = gate
        self._checkpoint = checkpoint
        self._tell = tell
        self._zone = account.terms.broker_zone
        self._notes: dict[UUID, str] = {}  # what the gate said of an order that it let pass
        self._sender = Sender(self.terminal, self._zone, clock, checkpoint)
        self.doubts = Doubts(
            account,
            self.terminal,
            host=host,
            ledger=ledger,
            monotonic=monotonic,
            checkpoint=checkpoint,
            tell=tell,
        )

    def carry_out(self, orders: Sequence[Order]) -> list[Order]:
        """Send orders of this account, one after another, and return them as they ended.

        All are written as sent before the first one goes, and their outcomes together after the
        last: closes into the journal where the database is away, opens not at all then.
        """
        ready = self._write_sent(orders)
        self._checkpoint("written")
        changes = []
        for order in ready:
            outcome = self._why_not_now(order) or self._sender.send(order)
            values = outcome.with_note(self._notes.pop(order.pk, "")).put_on(order)
            changes.append(Change(Order, order.pk, values, _ANSWERABLE))
            self._checkpoint("answered")
        self.doubts.note(ready)
        self.ledger.write(*changes)
        self._checkpoint("outcome written")
        self._tell(ready)
        return list(orders)

    def serve(self) -> None:
        """Settle what is unknown, then send what waits; what cannot be done now is done later.

        Raises a database error when the orders cannot be read.
        """
        if self.ledger.is_behind and not self.ledger.catch_up():
            return
        self.doubts.settle(self.clock())
        now = self.clock()
        waiting_tickets: set[int] = set()
        # A list, for each one is written in a transaction of its own.
        for order in list(self._orders(State.PENDING)):
            if is_due(order.next_attempt_at, now) and not _follows(order, waiting_tickets):
                self._serve_one(order)
            if order.state == State.PENDING and order.kind in _CHANGES:
                waiting_tickets |= {order.position_ticket or 0, order.order_ticket or 0}

    def _serve_one(self, order: Order) -> None:
        now = self.clock()
        if order.send_by_at is not None and order.send_by_at <= now:
            doubt = self._view().doubt_about(self.account.id, now)
            return self._end_unsent(order, expired(now, doubt or order.message))
        if (order.login, order.server) != (self.account.login, self.account.server):
            sentence = "The account has another login by now."
            return self._end_unsent(order, refused(sentence, Order.RefusedBy.GATE, now))
        if self._must_wait(order):
            return None
        if order.opens:
            return self._serve_open(order, now)
        try:
            ending = complete(order, self.terminal, self._zone, now)
        except LinkError as error:
            sentence = f"The terminal does not answer: {error.text}."
            return self._end_unsent(order, waiting(sentence, now + RETRY))
        if isinstance(ending, Outcome):
            return self._end_unsent(order, ending)
        if ending is not None:
            return self._serve_change(order, ending, now)
        self.carry_out([order])
        return None

    def _serve_open(self, order: Order, now: datetime) -> None:
        """Ask the gate and send what it allows; in doubt the order waits until its deadline."""
        sentence = withdrawn([order]).get(order.pk)
        if sentence is not None:
            return self._end_unsent(order, refused(sentence, Order.RefusedBy.GATE, now))
        view = self._view()
        if view.doubt_about(self.account.id, now) is not None:
            return None
        if self._fence.standing(now) is not Standing.HELD:
            return None
        (decision,) = self._gate.decide(
            view, [order], in_flight=self._in_flight(view), locks=self._locks(), now=now
        )
        self._checkpoint("gated")
        if decision.volume is not None and decision.is_allowed:
            order.volume = decision.volume
        return self._follow(order, decision, now)

    def _serve_change(self, order: Order, before: Position | PendingOrder, now: datetime) -> None:
        """Ask the gate about other stops or another price of what the terminal has just shown."""
        view = self._view()
        decision = self._gate.decide_change(
            view, order, before, in_flight=self._in_flight(view), locks=self._locks(), now=now
        )
        self._checkpoint("gated")
        self._follow(order, decision, now)

    def _in_flight(self, view: HostView) -> list[Order]:
        row = view.row_of(self.account.id)
        return orders_in_flight(
            self.account.id, float(view.poll.read_at[row]) if row is not None else 0.0
        )

    def _follow(self, order: Order, decision: GateDecision, now: datetime) -> None:
        """Write what the gate said, and send what it lets pass."""
        order.gated_at = now
        if order.origin == Order.Origin.COPY and may_pass_later(decision):
            self._end_unsent(order, waiting(decision.sentence, now + RETRY))
            return
        if decision.verdict is Verdict.BLOCK:
            outcome = refused(decision.sentence, Order.RefusedBy.GATE, now)
            if self._write_gated(order, decision, outcome.put_on(order), now):
                self._tell([order])
            return
        values = {"volume": order.volume, "message": decision.sentence[:255]}
        if self._write_gated(order, decision, values, now):
            if decision.verdict is not Verdict.ALLOW:
                self._notes[order.pk] = decision.sentence
            self.carry_out([order])

    def _write_gated(
        self, order: Order, decision: GateDecision, values: dict[str, Any], now: datetime
    ) -> bool:
        """Write what the gate said, the checks with it; False when the order is no longer ours.

        An order that comes to the gate again has its newest checks alone.
        """
        with transaction.atomic():
            mine = Order.objects.filter(pk=order.pk, state=State.PENDING)
            if not mine.update(**values, gated_at=now):
                return False
            GateCheck.objects.filter(order_id=order.pk).delete()
            GateCheck.objects.bulk_create(self._gate.check_rows(decision, now))
        return True

    def _end_unsent(self, order: Order, outcome: Outcome) -> None:
        self.ledger.write(Change(Order, order.pk, outcome.put_on(order), (State.PENDING,)))
        self._tell([order])

    def _must_wait(self, order: Order) -> bool:
        """Tell whether something unknown about the same position, or symbol, comes first."""
        for doubtful in self.doubts.orders():
            tickets = {doubtful.position_ticket, doubtful.opposite_ticket} - {None}
            if order.position_ticket in tickets:
                return True
            if doubtful.order_ticket is not None and doubtful.order_ticket == order.order_ticket:
                return True
            if order.symbol and order.symbol == doubtful.symbol and not self._is_hedging():
                return True
        return False

    def _is_hedging(self) -> bool:
        view = self._view()
        row = view.row_of(self.account.id)
        return row is not None and int(view.poll.batch.accounts[row]["margin_mode"]) == HEDGING

    def _write_sent(self, orders: Sequence[Order]) -> list[Order]:
        """Write these orders as sent; return those that may go now."""
        now = self.clock()
        new = [order for order in orders if order._state.adding]
        known = [order for order in orders if not order._state.adding]
        for order in new:
            order.host, order.state, order.sent_at = self.host, State.SENT, now
            order.attempts += 1
        if any(order.opens for order in new):
            with transaction.atomic():
                Order.objects.bulk_create(new)
        elif new:
            self.ledger.write(*(Insert(order) for order in new))
            for order in new:
                order._state.adding = False
        return [*new, *(order for order in known if self._claim(order, now))]

    def _claim(self, order: Order, now: datetime) -> bool:
        """Move a waiting order to `sent`; False when somebody else has decided about it."""
        values = {
            "state": State.SENT,
            "sent_at": now,
            "attempts": order.attempts + 1,
            **{name: getattr(order, name) for name in _COMPLETED},
        }
        if not Order.objects.filter(pk=order.pk, state=State.PENDING).update(**values):
            order.refresh_from_db()
            return False
        for name, value in values.items():
            setattr(order, name, value)
        return True

    def _why_not_now(self, order: Order) -> Outcome | None:
        """Look once more, right before sending; return what becomes of an order that must not go.

        Closes ask for nothing but that no other worker has taken the host over.
        """
        now = self.clock()
        standing = self._fence.standing(now)
        if not order.opens:
            if standing is not Standing.LOST:
                return None
            sentence = "Another worker has taken over."
            return not_sent(sentence, now) if order.send_by_at is None else waiting(sentence, now)
        if order.send_by_at is not None and order.send_by_at <= now:
            return expired(now)
        if standing is not Standing.HELD:
            return waiting("It is not certain that this worker may act.", now)
        doubt = self._view().doubt_about(self.account.id, now)
        if doubt is not None:
            return waiting(doubt, now)
        try:
            locks, withdrawals = self._locks(), withdrawn([order])
        except (DatabaseError, InterfaceError):
            return waiting("The locks of the account could not be read.", now)
        why = f"The account is locked: {locks[0].reason}" if locks else withdrawals.get(order.pk)
        return refused(why, Order.RefusedBy.GATE, now) if why is not None else None

    def _locks(self) -> list[AccountLock]:
        return list(AccountLock.objects.standing().filter(account_id=self.account.id))

    def _orders(self, *states: str) -> Any:
        return Order.objects.filter(
            host=self.host, account_id=self.account.id, state__in=states
        ).order_by("created_at", "id")


def _follows(order: Order, waiting_tickets: Collection[int]) -> bool:
    """Tell whether an earlier change of the same thing waits: what was asked for last must stay."""
    tickets = {order.position_ticket, order.order_ticket} - {None}
    return order.kind in _CHANGES and not tickets.isdisjoint(waiting_tickets)


# An answer counts also when somebody has meanwhile given up waiting for it.
_ANSWERABLE = (State.SENT, State.UNKNOWN, State.LOST)
# What the terminal fills in before an order goes.
_COMPLETED = (
    "symbol",
    "direction",
    "volume",
    "price",
    "stop_limit_price",
    "stop_loss",
    "take_profit",
    "valid_until_at",
)

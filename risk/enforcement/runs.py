"""Carrying a run on: one look at the terminal, one round of orders, until it is confirmed.

Every step begins with what the terminal holds now and ends with what was written down, so that
whoever takes a run up, after whatever crash, goes on and closes nothing twice.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError

from accounts.terminals.link import LinkError
from risk.core.offending import Book, Offence
from risk.desk import AccountFacts
from risk.enforcement.books import is_under_way
from risk.enforcement.goals import NO_CLOSE_BY, still_to_do
from risk.enforcement.rounds import Look, Verdict, busy_tickets, draft_round, judge
from risk.ledger.entries import Change
from risk.models import Enforcement, Order
from risk.orders.doubts import forget_connection
from risk.orders.lane import Lane
from risk.orders.moments import is_due

logger = logging.getLogger(__name__)

Stage = Enforcement.Stage

# Flat is what two looks say that lie so far apart.
CONFIRM_SECONDS = 0.25
DOUBT_SECONDS = 0.25
_PRICE_SECONDS = 0.05
_CLOSED_MARKET = (2.0, 60.0)
_HELD_UP = (0.5, 30.0)
_SILENT = (0.25, 5.0)
_LONGEST_MESSAGE = 255
_UNFINISHED = tuple({*Stage} - {Stage.DONE, Stage.GIVEN_UP})
_CLOSING = (Order.Kind.CLOSE, Order.Kind.CLOSE_BY)
# Orders that may still change what is open.
_MOVING = (*_CLOSING, Order.Kind.OPEN, Order.Kind.PLACE)


@dataclass(slots=True)
class Progress:
    """What the present process remembers of a run between its steps; nothing that must last."""

    is_new: bool = False
    setbacks: int = 0
    asleep_until: dict[str, datetime] = field(default_factory=dict)
    naps: dict[str, int] = field(default_factory=dict)
    is_flat_once: bool = False
    has_acted: bool = False
    started_told: bool = False
    held_up_told: bool = False
    last_book: Book | None = None


def back_off(between: tuple[float, float], attempt: int) -> float:
    """Return the seconds before the next attempt, doubled from one to the next."""
    first, longest = between
    return min(first * 2.0 ** min(attempt, 16), longest)


class Round:
    """One step of one run on its lane, after the look that it begins with."""

    def __init__(self, lane: Lane, run: Enforcement, progress: Progress, look: Look) -> None:
        self._lane = lane
        self._run = run
        self._progress = progress
        self._look = look

    def go(self) -> float | None:
        """Send what can go now; return the seconds until the next step, None when all is done.

        What is done is not written as finished yet.
        """
        run, now = self._run, self._lane.clock()
        found = still_to_do(run, self._look.book)
        doubtful = self._lane.doubts.look(now)
        if not found:
            return self._confirm(doubtful)
        self._progress.is_flat_once = False
        busy = busy_tickets(doubtful, self._look)
        cancels, closes = draft_round(
            run,
            self._lane.account,
            self._look,
            found,
            busy=busy,
            asleep=lambda symbol: self._is_asleep(symbol, now),
            now=now,
        )
        if not cancels and not closes:
            return self._wait(doubtful, now)
        return self._send(cancels, closes, found)

    def _send(
        self, cancels: Sequence[Order], closes: Sequence[Order], found: Offence
    ) -> float | None:
        """Send the cancels before the closes: an order that fills meanwhile would be missed."""
        lane, run, progress = self._lane, self._run, self._progress
        progress.has_acted = True
        done = lane.carry_out(cancels) if cancels else []
        if closes:
            done = [*done, *lane.carry_out(closes)]
        now = lane.clock()
        verdict = judge(done)
        values: dict[str, Any] = {
            "stage": Stage.CLOSING if found.parts else Stage.CANCELLING,
            "message": "",
            "attempts": run.attempts + 1,
            "last_sent_at": now,
            "next_attempt_at": None,
            "positions_closed": run.positions_closed + _closed(done),
            "orders_cancelled": run.orders_cancelled + _cancelled(done),
        }
        if verdict.refuses_close_by:
            values["options"] = {**run.options, NO_CLOSE_BY: True}
        delay = self._delay(verdict, now, values)
        write(lane, run, values)
        return delay

    def _delay(self, verdict: Verdict, now: datetime, values: dict[str, Any]) -> float:
        progress = self._progress
        for symbol in verdict.closed_symbols:
            nap = back_off(_CLOSED_MARKET, progress.naps.get(symbol, 0))
            progress.naps[symbol] = progress.naps.get(symbol, 0) + 1
            progress.asleep_until[symbol] = now + timedelta(seconds=nap)
        if verdict.has_progressed:
            progress.setbacks = 0
            return 0.0
        if verdict.blocked:
            delay = back_off(_HELD_UP, progress.setbacks)
            message = verdict.blocked[0]
        elif verdict.has_moved:
            delay = min(_PRICE_SECONDS * (progress.setbacks + 1), 1.0)
            message = "The price moved; trying again."
        else:
            return 0.0  # what sleeps is waited for by the next step
        progress.setbacks += 1
        values |= {
            "message": f"Trying again: {message}"[:_LONGEST_MESSAGE],
            "next_attempt_at": now + timedelta(seconds=delay),
        }
        return delay

    def _wait(self, doubtful: Sequence[Order], now: datetime) -> float:
        """Wait for what is in doubt, or for a market to open."""
        if doubtful:
            return DOUBT_SECONDS
        sleeping = [until for until in self._progress.asleep_until.values() if until > now]
        until = min(sleeping, default=now + timedelta(seconds=DOUBT_SECONDS))
        symbols = ", ".join(
            sorted(symbol for symbol, at in self._progress.asleep_until.items() if at > now)
        )
        values = {
            "stage": Stage.WAITING,
            "message": f"The market is closed: {symbols}. Trying again until it opens."[
                :_LONGEST_MESSAGE
            ],
            "next_attempt_at": until,
        }
        write(self._lane, self._run, values)
        return (until - now).total_seconds()

    def _confirm(self, doubtful: Sequence[Order]) -> float | None:
        """Believe that all is done when a second look says so and nothing is in doubt."""
        progress = self._progress
        is_moving = any(is_under_way(order) for order in self._look.orders)
        if is_moving or any(order.kind in _MOVING for order in doubtful):
            progress.is_flat_once = False
            return DOUBT_SECONDS
        if progress.is_flat_once or (not progress.has_acted and self._run.attempts == 0):
            return None
        progress.is_flat_once = True
        values = {"stage": Stage.CONFIRMING, "message": "", "next_attempt_at": None}
        write(self._lane, self._run, values)
        return CONFIRM_SECONDS

    def _is_asleep(self, symbol: str, now: datetime) -> bool:
        until = self._progress.asleep_until.get(symbol)
        return until is not None and not is_due(until, now)


def put_off(lane: Lane, run: Enforcement, progress: Progress, error: LinkError) -> float:
    """Note that the terminal does not answer, and return when to ask it again."""
    delay = back_off(_SILENT, progress.setbacks)
    progress.setbacks += 1
    progress.is_flat_once = False
    now = lane.clock()
    message = f"The terminal cannot be asked: {error.text or error.code}. Trying again."
    values = {
        "stage": Stage.WAITING,
        "message": message[:_LONGEST_MESSAGE],
        "next_attempt_at": now + timedelta(seconds=delay),
    }
    if run.stage != Stage.WAITING or run.message != values["message"]:
        write(lane, run, values)
    return delay


def write(lane: Lane, run: Enforcement, values: dict[str, Any]) -> None:
    """Give the run these values and write those that differ; a row that is over stays as it is."""
    changed = {name: value for name, value in values.items() if getattr(run, name) != value}
    for name, value in changed.items():
        setattr(run, name, value)
    if changed:
        lane.ledger.write(Change(Enforcement, run.pk, changed, _UNFINISHED))


def may_trade(account: AccountFacts, trade_allowed: bool) -> str:
    """Say why nothing can be closed with this login; empty when it may trade."""
    if trade_allowed:
        return ""
    return (
        f"Watching only: the login of {account.name} may not trade, so TradeGuard cannot close"
        " anything there. Close it in a terminal of your own."
    )


def closed_by(lane: Lane, run: Enforcement) -> tuple[int, int]:
    """Count the positions that a run closed and the orders that it deleted.

    The orders know it best: what a lost answer had left open was found out later.
    """
    if lane.ledger.is_behind:
        return run.positions_closed, run.orders_cancelled
    try:
        orders = list(Order.objects.filter(enforcement_id=run.pk, state=Order.State.FILLED))
    except (DatabaseError, InterfaceError):
        forget_connection()
        return run.positions_closed, run.orders_cancelled
    return _closed(orders), _cancelled(orders)


def _closed(orders: Sequence[Order]) -> int:
    tickets: set[int | None] = set()
    for order in orders:
        if order.kind in _CLOSING and order.state == Order.State.FILLED:
            tickets |= {order.position_ticket, order.opposite_ticket}
    return len(tickets - {None})


def _cancelled(orders: Sequence[Order]) -> int:
    return sum(
        order.kind == Order.Kind.CANCEL and order.state == Order.State.FILLED for order in orders
    )

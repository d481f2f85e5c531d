"""A step of a run from its first row to its last one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from risk.core.offending import Book, everything, offending
from risk.core.parameters import MaxDailyTrades
from risk.core.rule_types import Action
from risk.due import Due
from risk.enforcement.around import surrounded
from risk.enforcement.beginnings import lock_of
from risk.enforcement.books import book_of_terminal, book_of_view, opened_since
from risk.enforcement.goals import (
    TARGETS,
    copied_by,
    left_by_others,
    needs_targets,
    response_of,
    spared_by,
    targets_of,
)
from risk.enforcement.locking import StandingLocks
from risk.enforcement.notices import Notices, ended_sentence, held_up
from risk.enforcement.rounds import Look
from risk.enforcement.runs import Progress, Round, Stage, closed_by, may_trade, write
from risk.ledger.entries import Entry, Insert
from risk.models import Enforcement
from risk.orders.doubts import forget_connection
from risk.orders.lane import Lane
from risk.orders.terminal import Position
from risk.orders.view import HostView

_DAY_SECONDS = 86_400
# A run that has not got through for so long is told about.
_HELD_UP_AFTER = timedelta(seconds=10)
# Somebody waits to hear that an account is flat, whoever has closed it.
_TOLD_ANYWAY = (Enforcement.Cause.PANIC, Enforcement.Cause.CASCADE)


def tell_nobody(account_id: UUID) -> None:
    """Leave it at the ledger that an account is being liquidated."""
    del account_id


class Carrier:
    """Carries runs on, each on the lane of its account.

    `liquidated` is told the account of a margin cut-off as soon as that has begun to close.
    """

    def __init__(
        self,
        locks: StandingLocks,
        notices: Notices,
        liquidated: Callable[[UUID], None] = tell_nobody,
    ) -> None:
        self._locks = locks
        self._notices = notices
        self._liquidated = liquidated

    def step(
        self,
        lane: Lane,
        run: Enforcement,
        progress: Progress,
        view: HostView,
        due: Due | None,
        others: Sequence[Enforcement] = (),
    ) -> float | None:
        """Do one step; return the seconds until the next, None when the run is over.

        `others` are the account's other runs that are not over. Raises LinkError while the terminal
        does not answer, and IntegrityError when the same run was begun elsewhere.
        """
        if progress.is_new:
            self._write_first(lane, run)
            progress.is_new = False
        look, watching_only = _look(lane, run, view)
        progress.last_book = look.book
        if watching_only:
            self._give_up(lane, run, watching_only)
            return None
        if due is None and _is_called_off(lane, run, view):
            self._finish(lane, run, look.book, "It is called for no more")
            return None
        if needs_targets(run) and not self._choose(lane, run, view, look, due, others):
            self._finish(lane, run, look.book)
            return None
        delay = Round(lane, run, progress, look).go()
        self._tell(lane, run, progress)
        if delay is None:
            self._finish(lane, run, look.book)
        return delay

    def _write_first(self, lane: Lane, run: Enforcement) -> None:
        entries: list[Entry] = [Insert(run)]
        if run.options.get("lock") and not self._is_locked(run):
            lock = lock_of(run)
            entries.append(Insert(lock))
            self._locks.add(lock)
        lane.ledger.write(*entries)

    def _is_locked(self, run: Enforcement) -> bool:
        return run.breach_id is not None and self._locks.is_locked_for(
            run.account_id, run.breach_id
        )

    def _choose(
        self,
        lane: Lane,
        run: Enforcement,
        view: HostView,
        look: Look,
        due: Due | None,
        others: Sequence[Enforcement],
    ) -> bool:
        """Decide what a run that leaves something closes; False when it is called for no more."""
        response, shown = response_of(run), look.book
        if run.cause == Enforcement.Cause.CASCADE:
            shown = left_by_others(look.book, others)
            found = copied_by(run, shown)
        elif response.action is Action.CLOSE_ALL:
            found = everything(look.book, response)
        elif due is None:
            return False
        else:
            book = _with_openings(lane, view, look, due)
            found = offending(due.rule.parameters, due.rule.response, book)
        handled = _handled_before(run) if response.close_fraction < 1 else set()
        options: dict[str, Any] = {
            **run.options,
            **targets_of(found, shown, handled),
            "spared": spared_by(found, look.book),
        }
        # On the disk before anything is sent: whoever takes the run up must want the same.
        write(lane, run, {"options": options})
        return bool(options[TARGETS] or found.cancels)

    def _tell(self, lane: Lane, run: Enforcement, progress: Progress) -> None:
        """Tell that it began, after the first round, which matters more; and when it is stuck."""
        if not progress.started_told and progress.has_acted:
            progress.started_told = True
            if run.cause == Enforcement.Cause.CUTOFF:
                self._liquidated(run.account_id)
            self._notices.add_started(run)
        waits_for_long = (
            run.next_attempt_at is not None and lane.clock() - run.created_at > _HELD_UP_AFTER
        )
        if waits_for_long and not progress.held_up_told:
            progress.held_up_told = True
            self._notices.add(held_up(run))

    def _finish(self, lane: Lane, run: Enforcement, book: Book, why: str = "") -> None:
        now = lane.clock()
        closed, cancelled = closed_by(lane, run)
        has_acted = bool(closed or cancelled)
        by_copies = int(run.options.get("cascade", {}).get("closed_by_copies", 0))
        ended = ended_sentence(closed, cancelled, len(book.positions), by_copies)
        values = {
            "stage": Stage.DONE,
            "message": f"{why}: {ended}" if why else ended,
            "positions_closed": closed,
            "orders_cancelled": cancelled,
            "confirmed_at": now,
            "finished_at": now,
            "next_attempt_at": None,
        }
        write(lane, run, values)
        if has_acted or run.cause in _TOLD_ANYWAY:
            self._notices.add_finished(run)

    def _give_up(self, lane: Lane, run: Enforcement, sentence: str) -> None:
        now = lane.clock()
        values = {
            "stage": Stage.GIVEN_UP,
            "message": sentence[:255],
            "finished_at": now,
            "next_attempt_at": None,
        }
        write(lane, run, values)
        self._notices.add_finished(run)


def _is_called_off(lane: Lane, run: Enforcement, view: HostView) -> bool:
    """Tell whether a run that has had to wait closes what is no violation any more.

    One that gets through at once does what it set out to do, and a CLOSE_ALL always does.
    """
    is_partial = run.breach_id is not None and run.action != Enforcement.Action.CLOSE_ALL
    now = lane.clock()
    has_waited = now - run.created_at > _HELD_UP_AFTER
    return is_partial and has_waited and view.doubt_about(lane.account.id, now) is None


def _look(lane: Lane, run: Enforcement, view: HostView) -> tuple[Look, str]:
    """Ask the terminal what it holds; and say why nothing can be done about it, if so."""
    terminal = lane.terminal
    reading = terminal.account()
    positions, orders = terminal.positions(), terminal.pending_orders()
    symbols = _asked_about(run, positions)
    terms = {symbol: terminal.symbol(symbol) for symbol in symbols}
    row = view.row_of(lane.account.id)
    seen = book_of_view(view, row) if row is not None else None
    book = book_of_terminal(reading, positions, orders, terms, seen)
    look = Look(positions, orders, book, reading.is_hedging)
    return look, may_trade(lane.account, reading.trade_allowed)


def _asked_about(run: Enforcement, positions: Sequence[Position]) -> set[str]:
    """Return the symbols whose terms decide something: each question takes time from the closes.

    Steps matter while the volumes are chosen, afterwards only whether hedged legs can close each
    other.
    """
    if needs_targets(run):
        return {each.symbol for each in positions}
    bought = {each.symbol for each in positions if each.is_buy}
    return bought & {each.symbol for each in positions if not each.is_buy}


def _with_openings(lane: Lane, view: HostView, look: Look, due: Due) -> Book:
    """Return the book with what the rule needs to know besides, as what was opened today."""
    book = surrounded(look.book, due, view)
    if not isinstance(due.rule.parameters, MaxDailyTrades):
        return book
    reset_at = float(view.assessment.reset_at[due.pair])
    start = (reset_at if reset_at == reset_at else due.moment) - _DAY_SECONDS
    opened = opened_since(lane.terminal, lane.account, look.positions, start)
    return replace(book, opened_today=opened)


def _handled_before(run: Enforcement) -> set[int]:
    """Return the positions of which this breach's earlier runs have closed their part."""
    if run.breach_id is None:
        return set()
    try:
        earlier = Enforcement.objects.filter(breach_id=run.breach_id).exclude(pk=run.pk)
        options = list(earlier.values_list("options", flat=True))
    except (DatabaseError, InterfaceError):
        forget_connection()
        return set()
    return {int(ticket) for each in options for ticket in each.get(TARGETS, {})}

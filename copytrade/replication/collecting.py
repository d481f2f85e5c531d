"""What the brokers answer to orders that were sent side by side, written down in batches."""

import logging
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connections, transaction

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.terminals.alike import Answered
from accounts.terminals.link import LinkError
from copytrade.replication.checks import Decided, Notes
from copytrade.replication.unfolding import Record
from copytrade.replication.updates import update_rows
from risk.core.gate.verdicts import GateDecision, Verdict
from risk.ledger.entries import Change, Insert
from risk.ledger.host_ledger import AWAY, HostLedger
from risk.models import Order
from risk.orders.doubts import forget_connection
from risk.orders.outcomes import Outcome, answered, doubtful, waiting
from risk.orders.retcodes import MAYBE_GONE, PRICE_MOVED
from risk.orders.terminal import SendResult, lots

logger = logging.getLogger(__name__)

MOST_TOGETHER: Final = 200
TOGETHER_SECONDS: Final = 0.01
# So long at most the end of an order waits for others to be sent.
LONGEST_HELD_SECONDS: Final = 0.5
# Without an answer for so long, there is time for what nobody waits for.
CALM_SECONDS: Final = 0.05
# An answer counts also when somebody has meanwhile given up waiting for it.
_ANSWERABLE: Final = (Order.State.SENT, Order.State.UNKNOWN, Order.State.LOST)


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that was handed to its session, what the gate said of it, and where it is written.

    Without a record it is in a row of its own. Of the decision only what is not a plain yes counts.
    """

    order: Order
    decision: GateDecision | None
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class _Came:
    """What came for one of many orders; the order itself is not made before that is taken in."""

    sents: Sequence[Sent]
    place: int
    said: Any  # a row, or the exception that the call ended in
    at: datetime


class Collector:
    """Waits for answers on a thread of its own, or writes them at once when inline.

    `unfold` makes rows of what was written ahead, which comes before any answer. `settled` gets
    orders whose ends are written, `release` the accounts that are free again. Where it `is_urgent`,
    for an event waits for these accounts, they come before all that can wait.
    """

    def __init__(
        self,
        name: str,
        ledger: HostLedger,
        *,
        clock: Callable[[], datetime],
        unfold: Callable[[Iterable[Record]], None],
        settled: Callable[[Sequence[Order]], None],
        release: Callable[[Sequence[UUID]], None],
        begin: Callable[[], None],
        is_inline: bool,
        is_urgent: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._unfold = unfold
        self._settled = settled
        self._release = release
        self._begin = begin
        self._is_inline = is_inline
        self._is_urgent = is_urgent
        self._came: queue.SimpleQueue[list[_Came] | None] = queue.SimpleQueue()
        self._left: deque[_Came] = deque()  # of the thread: what is written with the next
        self._is_writing = False
        self._notes = Notes(clock)
        self._is_quiet = threading.Event()
        self._is_quiet.set()
        self._thread = threading.Thread(target=self._run, name=f"{name}-answers", daemon=True)

    def expect(self, sents: Sequence[Sent]) -> Answered:
        """Write down how orders end as their answers come; return what is to be told of these.

        To be asked before the orders are sent. An element of `sents` is looked up once, and only
        when its answer is taken in.
        """
        self._start()

        def come(answers: Sequence[tuple[int, Any]], waited_seconds: float = 0.0) -> None:
            at = self._clock() - timedelta(seconds=waited_seconds)
            self._came.put([_Came(sents, place, said, at) for place, said in answers])

        return come

    def take(self, sent: Sent, answer: "Future[Any]") -> None:
        """Write down how an order ends as soon as its answer is there."""
        come = self.expect((sent,))
        answer.add_done_callback(lambda done: come([(0, _said_by(done))]))

    def note(self, rounds: Iterable[Decided], refusals: Sequence[GateDecision] = ()) -> None:
        """Write down what the gate looked at, once nobody waits for anything else.

        `rounds` come with the moment that their orders were gated at. Refusals that are in none of
        them, or that are no last word, get rows of their own.
        """
        self._notes.add(rounds, refusals)
        if self._is_inline or (self._thread.ident is not None and not self._thread.is_alive()):
            self._notes.write_all()
            return
        self._start()
        self._came.put([])

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Write nothing meanwhile, but for what waits too long: sending comes first."""
        self._is_quiet.clear()
        try:
            yield
        finally:
            self._is_quiet.set()

    @property
    def has_answers(self) -> bool:
        """Tell whether there are answers that are not written yet; some accounts wait for that."""
        return self._is_writing or bool(self._left) or not self._came.empty()

    def flush(self) -> None:
        """Write what has come; for an inline collector, whose answers are there at once."""
        while self._is_inline and not (self._came.empty() and not self._left):
            self._write(self._gathered([]))

    def close(self, timeout_seconds: float = 5.0) -> None:
        self._came.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _start(self) -> None:
        if not self._is_inline and self._thread.ident is None:
            self._thread.start()

    def _run(self) -> None:
        try:
            self._begin()
            while (first := self._next()) is not None:
                self._is_writing = bool(first or self._left)
                self._is_quiet.wait(LONGEST_HELD_SECONDS)
                came = self._gathered(first)
                try:
                    self._write(came)
                except Exception:
                    logger.exception("%d answers could not be taken in.", len(came))
                self._is_writing = False
            self._notes.write_all()
        finally:
            connections.close_all()

    def _next(self) -> list[_Came] | None:
        """Wait for an answer; what the gate looked at is written while there is none."""
        while not self._left and self._notes.are_there:
            if not self._notes.are_many:
                try:
                    return self._came.get(timeout=CALM_SECONDS)
                except queue.Empty:
                    self._is_quiet.wait(LONGEST_HELD_SECONDS)
            self._notes.write_some()
        return [] if self._left else self._came.get()

    def _gathered(self, first: list[_Came]) -> list[_Came]:
        """Return what comes within a moment, so that it is written together."""
        self._left.extend(first)
        until = time.monotonic() + (0.0 if self._is_inline else TOGETHER_SECONDS)
        while len(self._left) < MOST_TOGETHER:
            try:
                came = self._came.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                break
            if came is None:
                self._came.put(None)
                break
            self._left.extend(came)
        return [self._left.popleft() for _ in range(min(MOST_TOGETHER, len(self._left)))]

    def _write(self, came: Sequence[_Came]) -> None:
        if not came:
            return
        with RIGHT_OF_WAY.taken() if self._is_urgent() else nullcontext():
            ended = [(one.sents[one.place], one.said, one.at) for one in came]
            orders = [sent.order for sent, _, _ in ended]
            try:
                self._write_outcomes(ended)
            except Exception:
                # Their rows say `sent`: the lanes find out about them.
                logger.exception("The ends of %d copies could not be written.", len(came))
                forget_connection()
            finally:
                self._release([order.account_id for order in orders])
        try:
            self._settled(orders)
        except Exception:
            logger.exception("The ends of %d copies could not be told.", len(came))

    def _write_outcomes(self, ended: Sequence[tuple[Sent, Any, datetime]]) -> None:
        alike: dict[tuple[str, ...], list[tuple[UUID, dict[str, Any]]]] = defaultdict(list)
        for sent, said, at in ended:
            decision = sent.decision
            is_remarked = decision is not None and decision.verdict is not Verdict.ALLOW
            note = decision.sentence if decision is not None and is_remarked else ""
            values = outcome_of(sent.order, said, at).with_note(note).put_on(sent.order)
            alike[tuple(values)].append((sent.order.pk, values))
        try:
            if self._ledger.is_behind and not self._ledger.catch_up():
                raise AWAY[0]("the journal comes first")
            self._unfold([sent.record for sent, _, _ in ended if sent.record is not None])
            with transaction.atomic():
                for changes in alike.values():
                    update_rows(Order, changes, from_states=_ANSWERABLE)
        except AWAY:
            forget_connection()
            self._ledger.write(
                # What is not in its row yet begins with how it has ended.
                *(Insert(sent.order) for sent, _, _ in ended
                  if sent.record and sent.record.is_folded),
                *(Change(Order, pk, values, _ANSWERABLE)
                  for changes in alike.values() for pk, values in changes),
            )  # fmt: skip


def _said_by(answer: "Future[Any]") -> Any:
    """Return what a call that is over came to: its row, or the exception that it ended in."""
    try:
        return answer.result(timeout=0)
    except Exception as error:
        return error


def _result(row: Any) -> SendResult:
    if isinstance(row, Exception):
        raise row
    return SendResult(
        retcode=int(row[0]), deal=int(row[1]), order=int(row[2]), volume=lots(row[3]),
        price=float(row[4]), bid=float(row[5]), ask=float(row[6]), comment=str(row[7]),
    )  # fmt: skip


def outcome_of(order: Order, row: Any, now: datetime) -> Outcome:
    """Return how an order ended by the answer to it; what may be tried again waits for its lane.

    In place of the row there may be the exception that the call ended in.
    """
    if isinstance(row, LinkError):
        if row.may_have_executed:
            return doubtful(f"The terminal did not answer: {row.text}.", now)
        sentence = f"It was not sent: {row.text or 'the terminal does not answer'}."
        return waiting(sentence, now)
    if row is None:
        return doubtful("The terminal gave no answer.", now)
    try:
        result = _result(row)
    except Exception as error:  # what is wrong with this one keeps no other from being written
        logger.exception("Order %s ended in an error.", order.pk)
        return doubtful(f"The answer could not be read ({type(error).__name__}).", now)
    outcome = answered(order, result, now)
    if outcome.state == Order.State.REJECTED:
        may_be_gone = result.retcode in MAYBE_GONE and not order.opens
        if may_be_gone or result.retcode in PRICE_MOVED:
            return waiting(outcome.message, now)
    return outcome

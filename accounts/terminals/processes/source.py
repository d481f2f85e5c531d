"""The real terminals of one host as a source: a child process for each of them."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from os import cpu_count
from random import SystemRandom
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accounts.terminals.alike import ORDER_SEND, AlikeOrders, Answered, submit_singly
from accounts.terminals.child.frames import FrameError
from accounts.terminals.codes import (
    AUTHORIZATION_FAILED,
    CALL_FAILED,
    IPC_NO_CONNECTION,
    IPC_NOT_STARTED,
    IPC_TIMEOUT,
    LOGIN_UNDER_WAY,
)
from accounts.terminals.link import LinkError
from accounts.terminals.processes.batches import Names, Part, assembled, decoded
from accounts.terminals.processes.child import Child
from accounts.terminals.processes.failures import AnswerLostError, not_sent
from accounts.terminals.processes.folders import PROGRAM
from accounts.terminals.processes.keeper import SUCCESS, Keeper, Limits
from accounts.terminals.processes.programs import TerminalPrograms
from accounts.terminals.processes.seats import (
    ASKED_AGAIN_SECONDS,
    Login,
    LoginAnswer,
    Seat,
    Start,
    mark_of,
)
from accounts.terminals.readings import Outcome, ReadingBatch

Integers = npt.NDArray[np.int64]
NO_CURSOR: Final = np.iinfo(np.int64).max
_HISTORY: Final = frozenset({"history_deals", "history_orders", "rates", "ticks", "symbols"})
_LISTS: Final = frozenset({"positions", "orders", "history_deals", "history_orders", "symbols"})
# Whoever watches an account reads it several times a second.
HELD_SECONDS: Final = 1.0
# A reader that has not named a cursor for so long has another one by now, or reads no more.
CURSOR_SECONDS: Final = 2.0
# Who takes another password for an account of theirs stops reading it within so long.
LETTING_GO_SECONDS: Final = 2.0
_UNDER_WAY: Final = LoginAnswer.of(LOGIN_UNDER_WAY)
_GONE: Final = Part(Outcome.NO_TERMINAL, IPC_NO_CONNECTION)
_REFUSED: Final = Part(Outcome.REFUSED, AUTHORIZATION_FAILED)
_SILENT: Final = Part(Outcome.SILENT, IPC_TIMEOUT)


class ChildProcesses:
    """Keeps a supervised process for each account that logs in; for many threads at once.

    A process that falls silent, ends or sends garbage is ended and buried; the sessions then log in
    again, which starts another one after a back-off, so that no password has to be kept here.
    `close` ends all of them.
    """

    def __init__(
        self,
        programs: TerminalPrograms,
        *,
        limits: Limits | None = None,
        random: Callable[[], float] | None = None,
        most_starting: int | None = None,
    ) -> None:
        self._programs = programs
        self._limits = limits or Limits()
        self._lock = threading.RLock()
        self._seats: dict[int, Seat] = {}
        self._names = Names()
        # The mark of the password that each seat was last entered with, and of one that waits.
        self._entered: dict[int, bytes] = {}
        self._rivals: dict[int, tuple[bytes, float]] = {}
        self._keeper = Keeper(
            programs,
            self._limits,
            self._seats,
            self._lock,
            random or SystemRandom().random,
            most_starting or 2 * (cpu_count() or 2),
        )

    def authorise_many(self, credentials: Sequence[tuple[int, str, str]]) -> list[LoginAnswer]:
        """Log in to each (login, password, server) at the same time; return a code for each.

        One that takes longer than `Limits.patience` is under way (LOGIN_UNDER_WAY): a later call
        with the same password tells how it ended.
        """
        deadline = time.monotonic() + self._limits.patience
        begun = [self._begin(*each, deadline) for each in credentials]
        return [
            self._outcome(each[0], entry, deadline) if isinstance(entry, Login) else entry
            for each, entry in zip(credentials, begun, strict=True)
        ]

    def read_batch(self, logins: Integers, deal_cursors: Integers) -> ReadingBatch:
        """Return what each terminal said last, and how old that is; waits for none of them."""
        now = time.monotonic()
        with self._lock:
            self._keeper.last_batch = now
            parts = [
                self._part(login, cursor, now)
                for login, cursor in zip(logins.tolist(), deal_cursors.tolist(), strict=True)
            ]
            return assembled(parts, self._names, time.time())

    def call(self, method: str, *arguments: Any) -> Any:
        """Ask the terminal of the login that is the first argument.

        Raises CallRefusedError when the terminal refused or was not asked, AnswerLostError when
        nobody knows whether what was asked has been carried out.
        """
        limit = self._limit_of(method)
        answer = self._request(method, arguments, limit)
        try:
            result = answer.result(timeout=limit + 0.5)
        except FutureTimeout as error:
            answer.cancel()
            raise AnswerLostError("The terminal did not answer in time.") from error
        return list(result) if method in _LISTS else result

    def submit(self, method: str, *arguments: Any) -> "Future[Any]":
        """Ask as `call` does, without waiting; the keeper sees to it that each future ends."""
        try:
            return self._request(method, arguments, self._limit_of(method))
        except LinkError as error:
            answer: Future[Any] = Future()
            answer.set_exception(error)
            return answer

    def submit_many(self, method: str, calls: Sequence[tuple[Any, ...]]) -> "list[Future[Any]]":
        """Ask each terminal for itself: they share no line that they could be written to."""
        return [self.submit(method, *arguments) for arguments in calls]

    def submit_alike(self, orders: AlikeOrders, answered: Answered) -> None:
        submit_singly(self.submit, orders, answered)

    def _request(
        self, method: str, arguments: tuple[Any, ...], limit_seconds: float
    ) -> "Future[Any]":
        login, server = int(arguments[0]), ""
        if method == ORDER_SEND and len(arguments) > 2:
            # The child compares what its terminal shows with the seat, so the seat must fit.
            arguments, server = arguments[:2], str(arguments[2])
        with self._lock:
            seat = self._seats.get(login)
            child = seat.child if seat is not None and seat.is_logged_in else None
        if child is None or seat is None or server not in ("", seat.server):
            raise not_sent(f"No terminal is logged in to account {login}.")
        if self._is_silent(child, time.monotonic()):
            raise not_sent(f"The terminal of account {login} does not answer.")
        return child.request(method, arguments, limit_seconds)

    def close(self) -> None:
        """End every process, and wait until none is left."""
        self._keeper.close()

    def processes(self) -> dict[int, int]:
        """Return the process id of each login's terminal process that runs."""
        with self._lock:
            return {
                login: seat.child.pid
                for login, seat in self._seats.items()
                if seat.child is not None and not seat.child.has_ended
            }

    def _begin(
        self, login: int, password: str, server: str, deadline: float
    ) -> Login | LoginAnswer:
        """Begin a login, or find the one that was begun, or return at once why there is none."""
        now = time.monotonic()
        with self._lock:
            try:
                seat = self._seat(login, server, now)
            except ValueError as error:
                return LoginAnswer.of(CALL_FAILED, str(error))
            problem = self._programs.problem(seat.folder)
            if problem is not None:
                return LoginAnswer.of(IPC_NOT_STARTED, problem)
            mark = mark_of(password)
            earlier = seat.entry
            if earlier is not None:
                if not earlier.answer.done():
                    earlier.wanted_until = deadline + ASKED_AGAIN_SECONDS
                    return _UNDER_WAY
                seat.entry = None
                if earlier.mark == mark and (
                    seat.is_logged_in or earlier.answer.result() != SUCCESS
                ):
                    return earlier.answer.result()
            if self._is_held(seat, mark, now):
                return self._answer_to_rival(seat, mark, now)
            if seat.child is None:
                must_wait = now < seat.not_before or self._keeper.is_leaving(seat)
            else:  # one that hangs is about to be ended, and has started when it said hello
                has_started = seat.child.hello is not None
                is_hanging = has_started and self._is_silent(seat.child, now)
                must_wait = seat.child.has_ended or is_hanging
            if must_wait:
                return _UNDER_WAY
            return self._enter(seat, mark, password, deadline)

    def _is_held(self, seat: Seat, mark: bytes, now: float) -> bool:
        """Tell whether somebody watches the account, who came in with another password.

        A login in their terminal would end their session, and if it is refused nobody would have
        one: a stranger who knows the number could blind the guard over it.
        """
        is_watched = seat.is_logged_in and now - seat.read < HELD_SECONDS
        return is_watched and self._entered.get(seat.login) != mark

    def _answer_to_rival(self, seat: Seat, mark: bytes, now: float) -> LoginAnswer:
        """Have a second password wait while it may be the owner's new one; then refuse it."""
        known, since = self._rivals.get(seat.login, (b"", now))
        if known != mark:
            since = now
        self._rivals[seat.login] = (mark, since)
        if now - since < LETTING_GO_SECONDS:
            return _UNDER_WAY
        return LoginAnswer.of(
            CALL_FAILED,
            f"Account {seat.login} of {seat.server[:60]} is watched on this terminal host already,"
            " with another password: a second watch over it needs another host.",
        )

    def _enter(self, seat: Seat, mark: bytes, password: str, deadline: float) -> Login:
        self._entered[seat.login] = mark
        self._rivals.pop(seat.login, None)
        entry = seat.entry = Login(mark, deadline + ASKED_AGAIN_SECONDS)
        programs, timeout_ms = self._programs, max(round(self._limits.log_in * 1000) - 5000, 1000)
        path = str(seat.folder / PROGRAM)
        arguments = (path, programs.portable, seat.login, password, seat.server, timeout_ms)
        order = Start(seat, entry, arguments)
        if seat.child is None:
            self._keeper.order(order)
        else:
            self._keeper.log_in(seat, seat.child, order)
        return entry

    def _seat(self, login: int, server: str, now: float) -> Seat:
        """Return the place of an account; raises ValueError when there can be none."""
        seat = self._seats.get(login)
        if seat is not None and seat.server != server:
            if seat.is_in_use(now):
                raise ValueError(
                    f"Account {login} of {seat.server[:60]} is watched on this terminal host"
                    f" already: the one of {server[:60]} with the same number needs another host."
                )
            self._keeper.dismiss(seat)
            seat = None
        if seat is None:
            folder = self._programs.folder(server, login)
            seat = self._seats[login] = Seat(login, server, folder, read=now)
        return seat

    def _outcome(self, login: int, entry: Login, deadline: float) -> LoginAnswer:
        try:
            answer = entry.answer.result(timeout=max(0.0, deadline - time.monotonic()))
        except FutureTimeout:
            return _UNDER_WAY
        with self._lock:
            seat = self._seats.get(login)
            if seat is not None and seat.entry is entry:
                seat.entry = None
            elif answer == IPC_TIMEOUT:
                return _UNDER_WAY  # it was never begun: other processes were being started
        return answer

    def _part(self, login: int, cursor: int, now: float) -> Part:
        seat = self._seats.get(login)
        if seat is None:
            return _GONE
        seat.read = now
        child = seat.child
        if child is None or child.has_ended:
            return _GONE
        if not seat.is_logged_in:
            return _REFUSED
        self._move_cursor(seat, child, cursor, now)
        look = child.current(cursor)
        age_seconds = math.inf if look is None else look.age_seconds(now)
        if look is None or age_seconds > self._limits.silence:
            return _SILENT
        if seat.decoded is None or seat.decoded.payload is not look.payload:
            try:
                seat.decoded = decoded(look.payload, self._names)
            except FrameError:
                return _SILENT
        return Part(Outcome.ANSWERED, 1, seat.decoded, age_seconds, look.number, cursor)

    def _move_cursor(self, seat: Seat, child: Child, cursor: int, now: float) -> None:
        """Tell the child which deals all readers have stored; the pool names none at first.

        An account may have several readers, each with a cursor of its own. A child that followed
        each of them in turn would drop what one has stored and another has not seen.
        """
        if cursor == NO_CURSOR and (seat.cursor is not None or child.cursor is not None):
            return
        seat.cursors[cursor] = now
        seat.cursors = {
            each: asked for each, asked in seat.cursors.items() if now - asked <= CURSOR_SECONDS
        }
        lowest = min(seat.cursors)
        if lowest != NO_CURSOR:
            seat.cursor = lowest
        if child.cursor != lowest:
            child.move_cursor(lowest)

    def _is_silent(self, child: Child, now: float) -> bool:
        return child.is_silent(now, self._limits.silence, self._limits.silence)

    def _limit_of(self, method: str) -> float:
        if method == ORDER_SEND:
            return self._limits.order
        return self._limits.history if method in _HISTORY else self._limits.call

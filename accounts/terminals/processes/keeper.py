"""The thread that starts the processes of a host, watches them, and buries them."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

from accounts.terminals.child.frames import Farewell
from accounts.terminals.codes import CALL_FAILED, IPC_NO_CONNECTION, IPC_NOT_STARTED, IPC_TIMEOUT
from accounts.terminals.processes.child import Child
from accounts.terminals.processes.failures import CallRefusedError
from accounts.terminals.processes.programs import TerminalPrograms
from accounts.terminals.processes.seats import LoginAnswer, Seat, Start

LOG_IN: Final = "log_in"
SUCCESS: Final = 1
LOOK_SECONDS: Final = 0.1
HANGING_LOGIN: Final = (
    "The terminal did not get through to the broker in time: check the server's name, and that the"
    " terminal starts on its host."
)
_DEATH_SECONDS: Final = 2.0
# Even a killed process can be stuck in the kernel for ever.
_CLOSE_SECONDS: Final = 15.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the processes of a host may take for something, in seconds."""

    # Without a word for so long a terminal answers SILENT, and later its process is ended.
    silence: float = 1.0
    silence_kill: float = 3.0
    start: float = 30.0
    log_in: float = 60.0
    # How long one `authorise_many` waits; what is not done by then is under way.
    patience: float = 0.8
    stop: float = 2.0
    order: float = 15.0
    history: float = 20.0
    call: float = 5.0


class Keeper:
    """Starts and ends processes, all on one thread that lives as long as any of them.

    ``seats`` and everything in them is guarded by ``lock``.
    """

    def __init__(
        self,
        programs: TerminalPrograms,
        limits: Limits,
        seats: dict[int, Seat],
        lock: threading.RLock,
        random: Callable[[], float],
        most_starting: int,
    ) -> None:
        self._programs = programs
        self._limits = limits
        self._seats = seats
        self._lock = lock
        self._random = random
        self._most_starting = most_starting
        self._orders: SimpleQueue[Start | Child | None] = SimpleQueue()
        self._waiting: list[Start] = []
        self._leaving: list[tuple[Child, float]] = []  # with when each is killed
        self._looked = time.monotonic()
        self._is_closing = False
        self.last_batch = 0.0
        self._thread = threading.Thread(target=self._run, name="terminals", daemon=True)
        self._thread.start()

    def order(self, start: Start) -> None:
        self._orders.put(start)

    def ended(self, child: Child) -> None:
        """Take note that nothing more comes from a process; for any thread."""
        self._orders.put(child)

    def dismiss(self, seat: Seat) -> None:
        """Have the process of a seat end in order."""
        child, seat.child, seat.is_logged_in, seat.decoded = seat.child, None, False, None
        if child is not None:
            child.stop()
            self._leaving.append((child, time.monotonic() + self._limits.stop))

    def close(self) -> None:
        """End all processes and the thread."""
        with self._lock:
            self._is_closing = True
            for seat in self._seats.values():
                self.dismiss(seat)
        self._orders.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while True:
            self._take_orders()
            with self._lock:
                try:
                    self._work(time.monotonic())
                except Exception:
                    # The kernel ends all processes with this thread, so that it has to go on.
                    logger.exception("Watching the terminals' processes failed.")
                if self._is_closing and not self._leaving:
                    return

    def _work(self, now: float) -> None:
        self._start_waiting()
        self._watch_all(now)
        self._bury(now)

    def _take_orders(self) -> None:
        wait = 0.02 if self._waiting or self._is_closing else LOOK_SECONDS
        try:
            came = self._orders.get(timeout=wait)
            while True:
                if isinstance(came, Start):
                    self._waiting.append(came)
                came = self._orders.get_nowait()
        except Empty:
            return

    def _start_waiting(self) -> None:
        """Start what somebody still waits for, a few at a time: each costs a core for a while."""
        now = time.monotonic()
        starting = sum(
            seat.child is not None and seat.child.is_starting(now) for seat in self._seats.values()
        )
        while self._waiting:
            order = self._waiting[0]
            if now >= order.entry.wanted_until or self._is_closing:
                order.entry.finish(LoginAnswer.of(IPC_TIMEOUT))
                if order.seat.entry is order.entry:
                    order.seat.entry = None
            elif starting >= self._most_starting:
                return
            elif order.seat.child is None and order.seat.entry is order.entry:
                self._start(order)
                starting += 1
            self._waiting.pop(0)

    def _start(self, order: Start) -> None:
        seat = order.seat
        try:
            child = Child(
                self._programs.command(seat.folder),
                folder=seat.folder,
                working_folder=self._programs.working_folder,
                environment=self._programs.environment(),
                on_end=self.ended,
            )
        except OSError as error:
            text = f"The terminal's process could not be started: {error.strerror or error}."
            order.entry.finish(LoginAnswer.of(IPC_NOT_STARTED, text))
            return
        seat.child, seat.is_logged_in, seat.read = child, False, time.monotonic()
        self.log_in(seat, child, order)

    def log_in(self, seat: Seat, child: Child, order: Start) -> None:
        """Send a login; what comes of it goes into its entry."""
        entry = order.entry
        try:
            answer = child.request(LOG_IN, order.arguments, self._limits.log_in)
        except CallRefusedError as error:
            entry.finish(self._login_result(seat, child, error))
            return

        def note(done: "Future[Any]") -> None:
            with self._lock:
                result = self._login_result(seat, child, done.exception())
                if seat.child is child:
                    child.forget()
                    seat.is_logged_in = result == SUCCESS
                    seat.read = time.monotonic()
                    if seat.is_logged_in and child.cursor is None and seat.cursor is not None:
                        child.move_cursor(seat.cursor)
            entry.finish(result)

        answer.add_done_callback(note)

    def _login_result(self, seat: Seat, child: Child, error: BaseException | None) -> LoginAnswer:
        if error is None:
            return LoginAnswer.of(SUCCESS)
        if child.is_given_up:
            return LoginAnswer.of(IPC_TIMEOUT, HANGING_LOGIN)
        if child.has_ended or not isinstance(error, CallRefusedError):
            bye = child.bye
            if bye is None or bye.farewell is Farewell.STOPPED:
                return LoginAnswer.of(IPC_NO_CONNECTION, child.complaint or str(error.args[1]))
            return LoginAnswer.of(IPC_NOT_STARTED, bye.sentence)
        if error.code == IPC_NOT_STARTED:
            text = f"The terminal in {seat.folder.name} could not be started."
            return LoginAnswer.of(error.code, text)
        if error.code == IPC_TIMEOUT:
            return LoginAnswer.of(error.code, HANGING_LOGIN)
        return LoginAnswer.of(error.code or CALL_FAILED)

    def _watch_all(self, now: float) -> None:
        # When this thread itself was held up, silence says nothing about the others.
        was_held_up = now - self._looked > self._limits.silence / 2
        self._looked = now
        for login, seat in list(self._seats.items()):
            child = seat.child
            if child is None:
                if seat.is_unread(now, self.last_batch) and seat.is_forgiven(now):
                    del self._seats[login]
                continue
            trouble = child.complaint if child.has_ended else None
            if not child.has_ended and not was_held_up:
                trouble = self._trouble(child, now)
            if child.has_ended or trouble is not None:
                self._drop(seat, child, trouble or "", now)
            elif seat.is_unread(now, self.last_batch):
                self.dismiss(seat)

    def _trouble(self, child: Child, now: float) -> str | None:
        """Return why a process cannot go on, None when it can."""
        method = child.overdue(now)
        if method is not None:
            return f"it did not answer {method} in time"
        if child.hello is None:
            is_late = now - child.started > self._limits.start
            return "it did not start in time" if is_late else None
        if child.is_silent(now, self._limits.silence_kill, self._limits.silence):
            return f"it was silent for {now - child.heard:.1f} s"
        return None

    def _drop(self, seat: Seat, child: Child, trouble: str, now: float) -> None:
        """Part with a process that has ended or hangs; a later login starts another one."""
        text = trouble or (child.bye.sentence if child.bye else "it ended")
        logger.warning("The process of terminal %s is gone: %s", seat.folder.name, text)
        child.is_given_up = not child.has_ended
        seat.fell(now - child.started, now, self._random)
        seat.child, seat.is_logged_in, seat.decoded = None, False, None
        self._leaving.append((child, now))

    def _bury(self, now: float) -> None:
        """Wait for the dead, kill who does not leave."""
        for entry in list(self._leaving):
            child, kill_at = entry
            if now >= kill_at and not child.is_dead and not child.end(0.0):
                continue
            if child.is_dead and child.wait(_DEATH_SECONDS):
                self._leaving.remove(entry)

    def is_leaving(self, seat: Seat) -> bool:
        """Tell whether an earlier process of the seat's folder may still be alive."""
        return any(child.folder == seat.folder for child, _ in self._leaving)

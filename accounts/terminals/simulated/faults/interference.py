"""What a fault does to a call on its way in and out, while nobody else has to wait for it."""

from collections.abc import Callable, Iterator

from accounts.terminals.link import LinkError, LinkTimeout

from ..link import CODE_RECEIVE_FAILED, CODE_SEND_FAILED
from ..rights import Rights
from .disturbances import Disturbance, Fault
from .specs import AFTER, BEFORE, FaultKind

_DONE_UNSEEN = (FaultKind.TIMEOUT_AFTER, FaultKind.LATE)


class Interference:
    """Delays, loses and ends calls. To be used without the trade server's lock.

    ``clock`` gives UTC epoch seconds, ``sleep`` waits for some seconds, and ``crash_broker`` ends
    the process, or raises where that would be the wrong process to end.
    """

    def __init__(
        self,
        rights: Rights,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        crash_broker: Callable[[], None],
    ) -> None:
        self._rights = rights
        self._clock = clock
        self._sleep = sleep
        self._crash_broker = crash_broker

    def before(self, disturbance: Disturbance, terminal: str, login: int) -> None:
        """Let a call come in; raises LinkError when it does not get through."""
        for seconds in self.waits(disturbance, terminal, login):
            self._sleep(seconds)

    def waits(self, disturbance: Disturbance, terminal: str, login: int) -> Iterator[float]:
        """Let a call come in as `before` does, for someone who does other things meanwhile.

        Yields how many seconds to wait each time; only a fault that hangs blocks.
        """
        for fault in disturbance.faults:
            kind = fault.spec.kind
            if kind is FaultKind.DISCONNECT_TERMINAL:
                raise lost_terminal(fault)
            if kind is FaultKind.TIMEOUT_BEFORE:
                raise LinkTimeout
            if kind is FaultKind.HANG:
                fault.hang(self._clock())
            elif kind is FaultKind.LATENCY:
                yield fault.latency_seconds()
            elif fault.spec.moment == BEFORE:
                self._crash(fault, terminal, login)

    def after(self, disturbance: Disturbance, terminal: str, login: int) -> None:
        """Let the answer of a call go out, or lose it: what was asked has been done."""
        for fault in disturbance.faults:
            if fault.spec.kind in _DONE_UNSEEN:
                raise LinkTimeout
            if fault.spec.moment == AFTER:
                self._crash(fault, terminal, login)

    def crash_broker(self) -> None:
        self._crash_broker()

    def _crash(self, fault: Fault, terminal: str, login: int) -> None:
        if fault.spec.kind is FaultKind.CRASH_BROKER:
            self._crash_broker()
        elif fault.spec.kind is FaultKind.CRASH_TERMINAL:
            self._rights.crash(terminal, login)
            raise crashed_terminal(fault)


def lost_terminal(fault: Fault) -> LinkError:
    return LinkError(fault.spec.code)


def crashed_terminal(fault: Fault) -> LinkError:
    """Return what the caller of a terminal sees that dies in the middle of the call."""
    is_before = fault.spec.moment == BEFORE
    return LinkError(CODE_SEND_FAILED if is_before else CODE_RECEIVE_FAILED)

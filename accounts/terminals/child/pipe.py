"""Both ends of the pipe to the host: frames that come in, on a thread of their own, and go out."""

import os
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from accounts.terminals.child.frames import (
    NO_REQUEST,
    Frame,
    FrameError,
    FrameReader,
    Kind,
    frame,
)

if sys.platform == "win32":
    import msvcrt

_STANDARD_INPUT, _STANDARD_OUTPUT, _STANDARD_ERROR = 0, 1, 2
_PIECE_BYTES: Final = 65_536
# How long a call that hangs may hold up the end of a process whose host is gone.
GRACE_SECONDS: Final = 1.0


class HostGone(Exception):  # noqa: N818 (named for what happened)
    """Nobody reads what the child sends any more."""


def standard_streams() -> tuple[int, int]:
    """Take standard input and output for frames alone; return their new descriptors.

    Whatever else prints goes to standard error and cannot break a frame, whatever reads finds
    nothing, and a program that is started from here inherits neither end of the pipe.
    """
    incoming, outgoing = os.dup(_STANDARD_INPUT), os.dup(_STANDARD_OUTPUT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STANDARD_INPUT)
    os.close(nothing)
    os.dup2(_STANDARD_ERROR, _STANDARD_OUTPUT)
    if sys.platform == "win32":
        msvcrt.setmode(incoming, os.O_BINARY)
        msvcrt.setmode(outgoing, os.O_BINARY)
    return incoming, outgoing


class Inbox:
    """Frames from the host in the order they came; None is their end, a FrameError garbage.

    When the host is gone and the process still stands after a while, ``leave`` ends it.
    """

    def __init__(self, descriptor: int, leave: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._leave = leave
        self.frames: SimpleQueue[Frame | FrameError | None] = SimpleQueue()
        self.is_over = False  # the host said stop or is gone, whatever it asked for before

    def start(self) -> None:
        threading.Thread(target=self._read, name="host", daemon=True).start()

    def _read(self) -> None:
        reader = FrameReader()
        try:
            while self._passed_on(reader):
                pass
            self._end(None)
        except FrameError as error:
            self._end(error)
        except OSError:
            self._end(None)
        time.sleep(GRACE_SECONDS)
        self._leave()

    def _end(self, how: FrameError | None) -> None:
        self.is_over = True
        self.frames.put(how)

    def _passed_on(self, reader: FrameReader) -> bool:
        """Pass the next piece on and keep nothing of it, for it may hold a password."""
        data = os.read(self._descriptor, _PIECE_BYTES)
        for each in reader.feed(data):
            self.is_over = self.is_over or each.kind is Kind.STOP
            self.frames.put(each)
        return bool(data)


class Outbox:
    """Sends frames to the host. For one thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, kind: Kind, payload: bytes = b"", request_id: int = NO_REQUEST) -> None:
        """Send a whole frame; raises HostGone."""
        data = memoryview(frame(kind, payload, request_id))
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise HostGone from error

"""Keep what a child prints: all of it in a bounded file, its alarms on the terminal too."""

import logging
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 5_000_000
OLD_FILES = 3
TAIL_LINES = 30

_ALARM = re.compile(
    r"^\S+ \S+ (WARNING|ERROR|CRITICAL) "  # the line format of the settings
    r"|^\[\S+ \S+ (WARNING|ERROR|CRITICAL)/"  # Celery's, before it has read them
    r"|\w+Warning: "
    r"|^Traceback \(most recent call last\)"
    r"|FATAL|# WARNING"  # the Redis server's
)
_TRACEBACK = "Traceback (most recent call last)"
_NOISE = re.compile(
    # Advice about the kernel for database servers; a desk on one machine does not need it.
    r"Memory overcommit must be enabled"
    # What a worker prints, such as the e-mails of the console back-end.
    r"|WARNING celery\.redirected: "
    # A page that is not there is the visitor's affair.
    r"|WARNING django\.request: "
)


class _LogFile(RotatingFileHandler):
    """A file that says once, not line by line, that it takes no more, as on a full disk."""

    is_broken = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  # logging's
        self.is_broken = True


class ChildLog:
    """The log file of one child, begun anew with every `serve`."""

    def __init__(self, path: Path, *, prefix: str, alarm: Callable[[str], None]) -> None:
        self.path = path
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._prefix = prefix
        self._alarm = alarm
        self._in_traceback = False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_old = path.exists() and path.stat().st_size > 0
        self._file = _LogFile(path, maxBytes=MAX_BYTES, backupCount=OLD_FILES, encoding="utf-8")
        if is_old:
            self._file.doRollover()

    def add(self, line: str) -> None:
        self.tail.append(line)
        was_broken, self._file.is_broken = self._file.is_broken, False
        self._file.emit(logging.LogRecord("child", logging.INFO, "", 0, line, None, None))
        if self._file.is_broken and not was_broken:
            self._alarm(f"{self.path.name} cannot be written at the moment.")
        if self._is_alarm(line):
            self._alarm(f"[{self._prefix}] {line}")

    def close(self) -> None:
        with suppress(OSError):  # what a full disk did not take is lost
            self._file.close()

    def _is_alarm(self, line: str) -> bool:
        if line.startswith(_TRACEBACK):
            self._in_traceback = True
            return True
        if self._in_traceback:
            # The exception's own line is the first one that is not indented.
            self._in_traceback = line.startswith(" ")
            return True
        return bool(_ALARM.search(line)) and not _NOISE.search(line)

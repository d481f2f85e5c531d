"""What `serve` needs for itself: the home folder and the port."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ClaimError(Exception):
    """The folder or the port belongs to another process; the message tells what to do."""


@contextmanager
def claim_home(home: Path) -> Iterator[None]:
    """Hold the home folder for this process; the kernel lets go of it when the process dies."""
    run = home / "run"
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (run / "serve.lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise ClaimError(
                f"TradeGuard is already running on {home} (process {owner}). Stop it first, or set "
                "TRADEGUARD_HOME and PORT for a second desk."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def claimed_at(home: Path) -> float | None:
    """Return when the desk that runs on this home folder was started (a Unix time), None: none."""
    try:
        with (home / "run" / "serve.lock").open("r", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        pass
    return None


def require_free_port(port: int) -> None:
    with socket.socket() as probe:
        # As the web server does it: a port that is only waiting to be forgotten is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise ClaimError(
                    f"This user may not open port {port}; take one above 1023 with PORT=…"
                ) from None
            raise ClaimError(
                f"Port {port} is in use. Stop what uses it, or take another with PORT=…"
            ) from None

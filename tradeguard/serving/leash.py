"""Start a command that cannot outlive the process that asked for it.

    python leash.py signal PARENT_PID SIGNAL COMMAND...   the kernel sends SIGNAL (Linux)
    python leash.py pipe DESCRIPTOR COMMAND...            at the pipe's end the group is stopped

Run as a file, with the standard library alone, because every child pays for its start.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
GRACE_SECONDS = 5.0


def run_with_signal(parent_pid: int, signal_number: int, command: list[str]) -> None:
    """Become `command`; the request to the kernel survives exec."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:  # it died before the request was made
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606  # no shell is meant


def run_with_pipe(descriptor: int, command: list[str]) -> int:
    """Run `command` in this process group until it ends, or until nobody holds the pipe."""
    child = subprocess.Popen(command)  # noqa: S603  # the supervisor's own command
    # Signals go to the whole group, so the child has them already; this process waits for it.
    for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, _ignore)
    threading.Thread(target=_end_group_with_pipe, args=(descriptor,), daemon=True).start()
    code = child.wait()
    return 128 - code if code < 0 else code


def _ignore(_number: int, _frame: object) -> None:
    pass


def _end_group_with_pipe(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main(arguments: list[str]) -> int:
    if arguments[0] == "signal":
        run_with_signal(int(arguments[1]), int(arguments[2]), arguments[3:])
    return run_with_pipe(int(arguments[1]), arguments[2:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

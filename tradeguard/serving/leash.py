"""Start a command that cannot outlive the process that asked for it.

    python leash.py NICENESS signal PARENT_PID SIGNAL COMMAND...   the kernel sends SIGNAL (Linux)
    python leash.py NICENESS pipe DESCRIPTOR COMMAND...     at the pipe's end the group is stopped

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
# What Linux does on desktops: it shares the processors among sessions first, and niceness matters
# only within one. The session then has a niceness of its own; every 0.1 s somebody may set one.
AUTOGROUP = "/proc/self/autogroup"
AUTOGROUP_TRIES = 5
AUTOGROUP_PAUSE_SECONDS = 0.11


def give_way(niceness: int) -> None:
    """Let everything else on the machine have the processors first."""
    if niceness <= 0:
        return
    os.nice(niceness)
    if os.getsid(0) != os.getpid():
        return  # a session that is shared with others is not ours to slow down
    for _ in range(AUTOGROUP_TRIES):
        try:
            _write(AUTOGROUP, str(niceness))
        except BlockingIOError:
            time.sleep(AUTOGROUP_PAUSE_SECONDS)
        except OSError:
            return  # not this kernel's way, or not this container's
        else:
            return


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


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
    give_way(int(arguments[0]))
    if arguments[1] == "signal":
        run_with_signal(int(arguments[2]), int(arguments[3]), arguments[4:])
    return run_with_pipe(int(arguments[2]), arguments[3:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What ends a child process with its parent, however that one ends.

The end of the child's standard input tells it too, but a child that hangs in a call of MetaTrader's
package, which freezes all of its threads, would not notice.
"""

import ctypes
import os
import signal
import subprocess
import sys
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1
_KILL_ON_JOB_CLOSE: Final = 0x2000
_EXTENDED_LIMITS: Final = 9  # JobObjectExtendedLimitInformation


def end_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux).

    Elsewhere the parent does its part, in `Leash`.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:  # it died before the request was made
        os._exit(1)


class _BasicLimits(ctypes.Structure):
    _fields_ = [
        ("per_process_user_time", ctypes.c_int64),
        ("per_job_user_time", ctypes.c_int64),
        ("limit_flags", ctypes.c_uint32),
        ("minimum_working_set", ctypes.c_size_t),
        ("maximum_working_set", ctypes.c_size_t),
        ("active_process_limit", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority_class", ctypes.c_uint32),
        ("scheduling_class", ctypes.c_uint32),
    ]


class _ExtendedLimits(ctypes.Structure):
    _fields_ = [
        ("basic", _BasicLimits),
        ("io_counters", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    ]


class Leash:
    """Holds a child process, and on Windows what it starts: a Job Object.

    The system ends all of them when this process ends; `end` does so at once.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._job = _job_of(process) if sys.platform == "win32" else None

    def end(self) -> None:
        if sys.platform == "win32" and self._job:
            _kernel32().TerminateJobObject(self._job, 1)
        self._process.kill()

    def release(self) -> None:
        """Let go of a process that has ended; a terminal that it started ends with it."""
        if sys.platform == "win32" and self._job:
            _kernel32().CloseHandle(self._job)
            self._job = None


def _kernel32() -> Any:
    loader: Any = ctypes
    library = loader.WinDLL("kernel32", use_last_error=True)
    library.CreateJobObjectW.restype = ctypes.c_void_p
    for function in ("SetInformationJobObject", "AssignProcessToJobObject"):
        getattr(library, function).argtypes = None
    return library


def _job_of(process: "subprocess.Popen[bytes]") -> Any:
    """Put a process into a job of its own; raises OSError."""
    library = _kernel32()
    job = ctypes.c_void_p(library.CreateJobObjectW(None, None))
    limits = _ExtendedLimits()
    limits.basic.limit_flags = _KILL_ON_JOB_CLOSE
    handle = ctypes.c_void_p(int(getattr(process, "_handle")))  # noqa: B009  # Windows has it only
    is_tied = library.SetInformationJobObject(
        job, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
    ) and library.AssignProcessToJobObject(job, handle)
    if not is_tied:
        process.kill()
        raise OSError("the process could not be tied to this one")
    return job

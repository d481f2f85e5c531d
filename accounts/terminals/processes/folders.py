"""Where the terminal of an account is: one install folder per account, named by convention.

MetaTrader's package finds a terminal by its folder, so two accounts in one folder would be one.
Run with a server and a login, this file prints the name, for scripts.
"""

import re
import sys
import time
from pathlib import Path
from typing import BinaryIO, Final

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PROGRAM: Final = "terminal64.exe"
LOCK_FILE: Final = "tradeguard.lock"
_LOOK_SECONDS: Final = 0.05
# What a folder's name may hold everywhere; a dot only between other characters.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def folder_name(server: str, login: int) -> str:
    """Return the name of an account's folder, as in ``Example-Demo-50000001``.

    Characters that not every file system takes, and any that could lead elsewhere, become ``_``.
    Raises ValueError for a server or login that cannot be one.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", server.strip()).strip(".")
    name = re.sub(r"\.{2,}", ".", name)
    if login <= 0 or len(name) > 100 or not _PLAIN.fullmatch(name):
        raise ValueError(f"There can be no terminal for account {login} on {server[:40]!r}.")
    return f"{name}-{login}"


class FolderLock:
    """Holds a terminal's folder for one process; the system lets go of it when that one dies."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def release(self) -> None:
        self._file.close()


def lock_folder(folder: Path, patience_seconds: float) -> FolderLock | None:
    """Wait for the folder to be free and take it; None when somebody still holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_seconds
    file = (folder / LOCK_FILE).open("a+b")
    while not _is_locked_now(file):
        if time.monotonic() >= deadline:
            file.close()
            return None
        time.sleep(_LOOK_SECONDS)
    return FolderLock(file)


def _is_locked_now(file: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    try:
        sys.stdout.write(folder_name(sys.argv[1], int(sys.argv[2])) + "\n")
    except (IndexError, ValueError) as error:
        sys.exit(f"usage: folders.py SERVER LOGIN ({error})")

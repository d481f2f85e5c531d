"""A file that takes what the database does not take for a moment.

Each line is one write: a JSON list of entries, on the disk before anything acts on it. A line that
a crash tore apart was never acted on, and is left out.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Journal:
    """The lines of one host. Used by one process at a time, under the lock of its ledger."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Another process may have left lines behind.
        self.is_empty = not (path.exists() and path.stat().st_size)

    def append(self, entries: Sequence[dict[str, Any]]) -> None:
        """Write a line, and wait until the disk has it; OSError when that fails."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        line = json.dumps(entries, separators=(",", ":")).encode() + b"\n"
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if _is_torn(descriptor):
                line = b"\n" + line
            _write_all(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _sync_folder(self.path.parent)
        self.is_empty = False

    def read(self) -> list[list[dict[str, Any]]]:
        """Return the lines that are whole."""
        if not self.path.exists():
            return []
        lines = []
        for line in self.path.read_bytes().split(b"\n"):
            try:
                entries = json.loads(line)
            except ValueError:
                continue  # torn by a crash, or the end of the file
            lines.append(entries)
        return lines

    def clear(self) -> None:
        """Forget everything: the database has it."""
        self.path.unlink(missing_ok=True)
        _sync_folder(self.path.parent)
        self.is_empty = True

    def size_bytes(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0


def _is_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _sync_folder(folder: Path) -> None:
    if not folder.exists() or os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The journal on disk: no accepted order is lost, whenever the process dies.

A folder holds one snapshot of everything and the batches written since, ``books-N.snapshot`` and
``books-N.journal``. A batch is the work of one command: length, CRC-32, msgpack. What the end of a
journal holds of an unfinished batch was never acknowledged and is dropped. Damage in front of whole
batches has hit acknowledged ones: such a journal is not read, and left as it is.
"""

import logging
import os
import re
import struct
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from .books import Record

_HEAD = struct.Struct("<II")
_NAME = re.compile(r"books-(\d+)\.snapshot")
_CLEAN_END = "end"
# How a batch begins: a list of records, the first of which begins with its kind.
_BATCH = re.compile(rb"(?=(?:[\x91-\x9f]|\xdc..)[\x91-\x9f](?:\xa1[A-Za-z]|\xa3end))", re.DOTALL)

logger = logging.getLogger(__name__)


class JournalError(Exception):
    """A journal that cannot be written or read any more."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was found on disk; ``after_crash`` unless the last process closed its journal."""

    snapshot: bytes | None
    batches: Sequence[Sequence[Record]]
    after_crash: bool


class Journal:
    """Appends batches and brings them to the disk, several callers' batches with one fsync."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()  # guards the buffer and the counters
        self._disk = threading.Lock()  # held by the one who writes and syncs
        self._buffer: list[bytes] = []
        self._appended = 0
        self._synced = 0
        self._failed: OSError | None = None
        self._generation = 0
        self._file: int | None = None
        self.size_bytes = 0

    @property
    def has_failed(self) -> bool:
        """Whether the disk has refused something: nothing can be acknowledged any more."""
        return self._failed is not None

    def check(self) -> None:
        """Raise JournalError once the disk has refused something."""
        if self._failed is not None:
            raise JournalError("The journal cannot be written.") from self._failed

    def append(self, records: Sequence[Record]) -> int:
        """Take a batch; return its number for `flush`."""
        self.check()
        frame = _frame(bytes(msgpack.packb(records)))
        with self._lock:
            self._buffer.append(frame)
            self._appended += 1
            self.size_bytes += len(frame)
            return self._appended

    def flush(self, number: int) -> None:
        """Return when a batch is on the disk; raises JournalError when it cannot get there."""
        if self._synced >= number:
            return
        with self._disk:
            if self._synced < number:
                self._write_out()

    def rotate(self, snapshot: bytes) -> None:
        """Put a snapshot of everything in the place of the journal so far."""
        with self._disk, self._lock:
            self.check()
            try:
                self._begin(self._generation + 1, snapshot)
            except OSError as error:
                self._failed = error
                raise JournalError("The journal cannot be written.") from error

    def _begin(self, generation: int, snapshot: bytes) -> None:
        self._replace(self._path(generation, "snapshot"), _frame(snapshot))
        self._close_file()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        self._file = os.open(self._path(generation, "journal"), flags, 0o600)
        self._sync_folder()
        self._drop_older(generation)
        self._generation = generation
        # The snapshot holds what the buffer held.
        self._buffer.clear()
        self._synced = self._appended
        self.size_bytes = 0

    def recover(self) -> Recovery:
        """Read the newest snapshot and what followed it. To be called once, before any write."""
        generations = sorted(self._generations())
        if not generations:
            return Recovery(None, (), after_crash=False)
        self._generation = generations[-1]
        path = self._path(self._generation, "snapshot")
        frames = _frames(path.read_bytes())
        if len(frames) != 1:
            raise JournalError(f"{path} is damaged: its checksum does not fit.")
        journal = self._path(self._generation, "journal")
        raw = journal.read_bytes() if journal.exists() else b""
        payloads = _frames(raw)
        batches = [msgpack.unpackb(payload, use_list=False) for payload in payloads]
        unread = len(raw) - sum(_HEAD.size + len(payload) for payload in payloads)
        if unread:
            place = len(raw) - unread
            if _holds_batches(raw, place):
                raise JournalError(
                    f"{journal} is damaged at byte {place}, in front of accepted commands."
                )
            logger.warning("%s ends in %d bytes of an unfinished command.", journal, unread)
        clean = bool(batches) and batches[-1] == ((_CLEAN_END,),)
        return Recovery(frames[0], batches[:-1] if clean else batches, after_crash=not clean)

    def close(self) -> None:
        """Mark the end of an orderly run and close the file; after a failure only the latter."""
        try:
            if not self.has_failed:
                self.flush(self.append([(_CLEAN_END,)]))
        finally:
            with self._disk:
                self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            descriptor, self._file = self._file, None
            os.close(descriptor)

    def _write_out(self) -> None:
        self.check()
        if self._file is None:
            raise JournalError("The journal is closed.")
        with self._lock:
            data, upto = b"".join(self._buffer), self._appended
            self._buffer.clear()
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError as error:
            # After a failed fsync nobody knows what the disk holds: no more acknowledgements.
            self._failed = error
            raise JournalError("The journal cannot be written.") from error
        self._synced = upto

    def _replace(self, path: Path, data: bytes) -> None:
        unfinished = path.with_suffix(".new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)

    def _sync_folder(self) -> None:
        if os.name == "nt":  # a folder cannot be opened there; its entries are journaled by NTFS
            return
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _drop_older(self, generation: int) -> None:
        for older in self._generations():
            if older < generation:
                self._path(older, "journal").unlink(missing_ok=True)
                self._path(older, "snapshot").unlink(missing_ok=True)

    def _generations(self) -> list[int]:
        names = (_NAME.fullmatch(path.name) for path in self._folder.iterdir())
        return [int(name[1]) for name in names if name]

    def _path(self, generation: int, kind: str) -> Path:
        return self._folder / f"books-{generation:08d}.{kind}"


def _frame(payload: bytes) -> bytes:
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def _frames(raw: bytes) -> list[Any]:
    """Split bytes into whole, undamaged payloads; what comes after the first bad one is dropped.

    A length of zero is what a file system leaves of a page that it had not written yet.
    """
    payloads = []
    offset = 0
    while offset + _HEAD.size <= len(raw):
        length, checksum = _HEAD.unpack_from(raw, offset)
        offset += _HEAD.size
        payload = raw[offset : offset + length]
        if not length or len(payload) != length or zlib.crc32(payload) != checksum:
            break
        payloads.append(payload)
        offset += length
    return payloads


def _holds_batches(raw: bytes, offset: int) -> bool:
    """Tell whether a whole batch lies anywhere behind an offset, at which there is none."""
    for found in _BATCH.finditer(raw, offset + _HEAD.size):
        begin = found.start()
        length, checksum = _HEAD.unpack_from(raw, begin - _HEAD.size)
        payload = raw[begin : begin + length]
        if len(payload) == length and zlib.crc32(payload) == checksum:
            return True
    return False

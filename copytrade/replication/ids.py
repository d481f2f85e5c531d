"""Ids and tags of rows that are written together: those that follow each other lie side by side.

An index of random ids is touched in as many places as there are rows; this one grows at its end.
"""

import os
import time
from collections.abc import Sequence
from typing import Final, overload
from uuid import UUID, SafeUUID

import numpy as np

from risk.orders.drafts import new_tag

_RANDOM_BYTES: Final = 7
_COUNTED: Final = 1 << 20
_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_TAG_BITS: Final = (1 << 38) - 1

_set = object.__setattr__


class Ids:
    """Gives out UUIDs of version 7 and tags that nobody else has; for one thread.

    An id is the millisecond of birth, a count, and 54 random bits. Tags count on from a random one.
    """

    __slots__ = ("_bits", "_count", "_left", "_milliseconds", "_tag")

    def __init__(self) -> None:
        self._milliseconds = (time.time_ns() // 1_000_000) << 80
        self._count = 0
        self._bits = b""
        self._left = 0
        self._tag = new_tag()

    def new_id(self) -> UUID:
        if not self._left:
            self._bits, self._left = os.urandom(512 * _RANDOM_BYTES), 512
        self._left -= 1
        first = self._left * _RANDOM_BYTES
        random = int.from_bytes(self._bits[first : first + _RANDOM_BYTES], "big") >> 2
        count = self._count = (self._count + 1) % _COUNTED
        # As UUID itself would set it, which looks at five ways to be given one first.
        made = UUID.__new__(UUID)
        _set(made, "int", self._milliseconds | _VERSION | (count >> 8) << 64 | _VARIANT
             | (count & 0xFF) << 54 | random)  # fmt: skip
        _set(made, "is_safe", SafeUUID.unknown)
        return made

    def new_ids(self, count: int) -> "IdColumn":
        """Return as many ids as `new_id` would give one after another."""
        counted = (self._count + 1 + np.arange(count, dtype=np.uint64)) % np.uint64(_COUNTED)
        self._count = (self._count + count) % _COUNTED
        words = np.empty((count, 2), dtype=">u8")
        random = np.frombuffer(os.urandom(8 * count), dtype=np.uint64) >> np.uint64(10)
        words[:, 0] = (self._milliseconds | _VERSION) >> 64
        words[:, 0] |= counted >> np.uint64(8)
        words[:, 1] = (counted & np.uint64(0xFF)) << np.uint64(54)
        words[:, 1] |= random | np.uint64(_VARIANT)
        return IdColumn(words.tobytes())

    def new_tag(self) -> int:
        """Return the next number for `magic`, with our prefix in front of 38 bits."""
        tag = self._tag
        self._tag = (tag & ~_TAG_BITS) | ((tag + 1) & _TAG_BITS)
        return tag

    def new_tags(self, count: int) -> list[int]:
        return [self.new_tag() for _ in range(count)]


class IdColumn(Sequence[UUID]):
    """Ids as the bytes of all of them, 16 each; a UUID is made of those that are asked for."""

    __slots__ = ("_packed",)

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def packed(self, first: int, end: int) -> list[bytes]:
        """Return the bytes of some, from one place to before another."""
        packed = self._packed
        return [packed[16 * one : 16 * one + 16] for one in range(first, min(end, len(self)))]

    def taken(self, places: Sequence[int]) -> "IdColumn":
        return IdColumn(b"".join([self._packed[16 * one : 16 * one + 16] for one in places]))

    def __len__(self) -> int:
        return len(self._packed) // 16

    @overload
    def __getitem__(self, place: int) -> UUID: ...

    @overload
    def __getitem__(self, place: slice) -> "IdColumn": ...

    def __getitem__(self, place: int | slice) -> "UUID | IdColumn":
        if isinstance(place, slice):
            return self.taken(range(*place.indices(len(self))))
        if not 0 <= place < len(self):
            raise IndexError(place)
        return UUID(bytes=self._packed[16 * place : 16 * place + 16])

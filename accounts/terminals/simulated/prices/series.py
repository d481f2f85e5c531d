"""Series of bars: the newest rows of endless ones, and coarse bars that grow from finer ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .timeframes import RATES_DTYPE, Bars

BarValues = tuple[int, float, float, float, float, int, int, int]

# What the journal's snapshot keeps of a bar: prices in points.
_PACKED_DTYPE = np.dtype(
    [("time", "<u4"), ("open", "<i4"), ("high", "<i4"), ("low", "<i4"), ("close", "<i4"),
     ("tick_volume", "<u4"), ("spread", "<u4"), ("real_volume", "<u4")]
)  # fmt: skip
_PRICES = ("open", "high", "low", "close")
_COUNTS = ("time", "tick_volume", "spread", "real_volume")
_FIRST_CAPACITY = 64


class Tail:
    """The newest rows of an endless series, oldest first."""

    def __init__(self, dtype: np.dtype[np.void], kept: int) -> None:
        self._rows: Bars = np.zeros(_FIRST_CAPACITY, dtype=dtype)
        self._kept = kept
        self._size = 0

    def add(self, row: Sequence[Any]) -> None:
        if self._size == len(self._rows):
            self._make_room()
        self._rows[self._size] = tuple(row)
        self._size += 1

    def replace(self, rows: Bars) -> None:
        self._rows = rows[-self._kept :].copy()
        self._size = len(self._rows)

    @property
    def rows(self) -> Bars:
        return self._rows[max(0, self._size - self._kept) : self._size]

    def _make_room(self) -> None:
        """Double the room up to twice of what is kept, then drop what is older."""
        if self._size < self._kept * 2:
            capacity = min(max(self._size * 2, _FIRST_CAPACITY), self._kept * 2)
            grown = np.zeros(capacity, dtype=self._rows.dtype)
            grown[: self._size] = self._rows
            self._rows = grown
        else:
            self._rows[: self._kept] = self._rows[-self._kept :].copy()
            self._size = self._kept

    @property
    def is_full(self) -> bool:
        return self._size >= self._kept


class Series:
    """Bars of one length, made of finer bars that closed; the last one is still growing."""

    def __init__(self, seconds: int, kept: int) -> None:
        self._seconds = seconds
        self.closed = Tail(RATES_DTYPE, kept)
        self.growing: BarValues | None = None

    def add(self, bar: BarValues) -> None:
        """Take in a finer bar that closed."""
        opened_at = bar[0] - bar[0] % self._seconds
        growing = self.growing
        if growing is not None and opened_at <= growing[0]:
            self.growing = merged(growing, bar)
            return
        if growing is not None:
            self.closed.add(growing)
        self.growing = (opened_at, *bar[1:])

    def seed(self, bars: Bars) -> None:
        """Begin with bars of this length, of which the last one may go on growing."""
        self.closed.replace(bars[:-1])
        self.growing = bars[-1].item() if len(bars) else None

    @property
    def rows(self) -> Bars:
        return with_bar(self.closed.rows, self.growing)


def pack(bars: Bars, point: float) -> bytes:
    """Return bars as the journal's snapshot keeps them."""
    packed = np.zeros(len(bars), dtype=_PACKED_DTYPE)
    for name in _PRICES:
        packed[name] = np.rint(bars[name] / point)
    for name in _COUNTS:
        packed[name] = bars[name]
    return packed.tobytes()


def unpack(raw: bytes, point: float) -> Bars:
    packed = np.frombuffer(raw, dtype=_PACKED_DTYPE)
    bars = np.zeros(len(packed), dtype=RATES_DTYPE)
    for name in _PRICES:
        bars[name] = packed[name] / np.rint(1 / point)
    for name in _COUNTS:
        bars[name] = packed[name]
    return bars


def with_bar(rows: Bars, bar: BarValues | None) -> Bars:
    if bar is None:
        return rows
    return np.concatenate([rows, np.array([bar], dtype=RATES_DTYPE)])


def merged(bar: BarValues, later: BarValues) -> BarValues:
    """Return a bar that goes on with a later one."""
    return (bar[0], bar[1], max(bar[2], later[2]), min(bar[3], later[3]), later[4],
            bar[5] + later[5], min(bar[6], later[6]), bar[7] + later[7])  # fmt: skip

"""Numbers that stand for the content of rows, so that a change is seen without keeping a copy."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accounts.terminals.readings import Rows

Marks = npt.NDArray[np.uint64]
# An odd number with well mixed bits: the golden ratio in 64 bits.
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def row_marks(rows: Rows, fields: Sequence[str]) -> Marks:
    """Return 64 bits per row that depend on every bit of these fields; sums of them mix well too.

    Two different contents have the same mark once in 2^64, by chance alone.
    """
    marks = np.full(len(rows), _FACTOR, dtype=np.uint64)
    for name in fields:
        marks = (marks ^ _bits(rows[name])) * _FACTOR
        marks ^= marks >> _SHIFT
    return marks


def _bits(column: npt.NDArray[np.generic]) -> Marks:
    if column.dtype == np.float64:
        return np.ascontiguousarray(column).view(np.uint64)
    return column.astype(np.int64).view(np.uint64)

"""Growing tables held column by column, so that whole columns are worked on at once."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]


class Table:
    """Rows that are appended and never moved, one numpy array per column.

    ``columns`` pairs names with numpy type codes; "O" holds Python strings. ``table[name]`` is a
    view of the rows in use: writing to it writes to the table. Columns with a default may be
    missing in what is appended or loaded; ``derived`` columns are not dumped.
    """

    def __init__(
        self,
        columns: Sequence[tuple[str, str]],
        defaults: Mapping[str, Any] = MappingProxyType({}),
        derived: Collection[str] = (),
        capacity: int = 64,
    ) -> None:
        self.columns = tuple(columns)
        self._defaults = defaults
        self._derived = frozenset(derived)
        self._arrays: dict[str, Column] = {
            name: np.zeros(capacity, dtype=code) for name, code in self.columns
        }
        self._capacity = capacity
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, name: str) -> Column:
        return self._arrays[name][: self.size]

    def append(self, values: Mapping[str, Any]) -> int:
        """Add a row from ``values`` (one for every column); return its number."""
        if len(values) < len(self.columns):
            values = {**self._defaults, **values}
        if self.size == self._capacity:
            self._grow()
        row = self.size
        for name, array in self._arrays.items():
            array[row] = values[name]
        self.size = row + 1
        return row

    def update(self, row: int, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self._arrays[name][row] = value

    def row(self, row: int) -> dict[str, Any]:
        """Return one row as plain Python values."""
        return {name: array.item(row) for name, array in self._arrays.items()}

    def keep(self, rows: Column) -> None:
        """Drop every row but those numbered in ``rows``, which become 0, 1, 2, …"""
        for array in self._arrays.values():
            array[: len(rows)] = array[: self.size][rows]
        self.size = len(rows)

    def remove(self, row: int) -> None:
        """Drop one row; those behind it move up."""
        last = self.size - 1
        for array in self._arrays.values():
            array[row:last] = array[row + 1 : self.size]
        self.size = last

    def dump(self) -> dict[str, Any]:
        """Return the columns as plain values that `load` takes back, without the derived ones."""
        return {name: _dumped(self[name]) for name, _ in self.columns
                if name not in self._derived}  # fmt: skip

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take back what `dump` gave; raises ValueError when a column without default is missing.

        Columns that this table doesn't have are left out.
        """
        size = max((_length(dumped[name], code) for name, code in self.columns if name in dumped),
                   default=0)  # fmt: skip
        for name, code in self.columns:
            if name in dumped:
                self._arrays[name] = _loaded(dumped[name], code)
            elif name in self._defaults:
                self._arrays[name] = np.full(size, self._defaults[name], dtype=code)
            else:
                raise ValueError(f"the column {name} is missing")
            if len(self._arrays[name]) != size:
                raise ValueError(f"the column {name} has {len(self._arrays[name])} of {size} rows")
        self.size = self._capacity = size

    def _grow(self) -> None:
        self._capacity = max(64, self._capacity * 2)
        for name, array in self._arrays.items():
            grown = np.zeros(self._capacity, dtype=array.dtype)
            grown[: self.size] = array[: self.size]
            self._arrays[name] = grown


def _dumped(column: Column) -> Any:
    return column.tolist() if column.dtype == object else column.tobytes()


def _length(dumped: Any, code: str) -> int:
    return len(dumped) if code == "O" else len(dumped) // np.dtype(code).itemsize


def _loaded(dumped: Any, code: str) -> Column:
    if code != "O":
        return np.frombuffer(dumped, dtype=code).copy()
    column = np.empty(len(dumped), dtype=object)
    column[:] = list(dumped)
    return column

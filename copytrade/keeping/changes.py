"""Which followers may hold something else than when the ledger was last compared with them."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from risk.orders.view import HostView

# What changes nothing that is compared here is looked for as well, only more seldom.
ALL_AGAIN_SECONDS: Final = 10.0
_Marks = npt.NDArray[np.uint64]
# Odd numbers without a pattern, so that positions that swap their figures differ.
_TICKET, _VOLUME, _KIND, _MODE = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5],
    dtype=np.uint64,
)
_SHIFT: Final = np.uint64(29)


class Changes:
    """Compares the readings of a host from look to look; for one thread."""

    def __init__(self) -> None:
        self._ids: tuple[UUID, ...] = ()
        self._marks: _Marks = np.empty(0, dtype=np.uint64)
        self._all_at = float("-inf")
        self._again: set[UUID] = set()

    def accounts(self, view: HostView) -> set[UUID] | None:
        """Return the accounts to look at, which then count as looked at; None for all of them."""
        poll, again = view.poll, self._again
        before, marks = self._marks, _marks(view)
        is_alike = poll.account_ids == self._ids
        is_soon = 0.0 <= poll.monotonic - self._all_at < ALL_AGAIN_SECONDS
        self._ids, self._marks, self._again = poll.account_ids, marks, set()
        if is_alike and is_soon:
            return again | {self._ids[row] for row in np.flatnonzero(before != marks).tolist()}
        self._all_at = poll.monotonic
        return None

    def look_again(self, account_ids: Iterable[UUID]) -> None:
        """Have accounts looked at the next time, whether they change or not."""
        self._again.update(account_ids)

    def forget(self) -> None:
        """Have all accounts looked at the next time."""
        self._all_at = float("-inf")


def _marks(view: HostView) -> _Marks:
    """Return a number per account that differs when what it holds differs."""
    positions = view.poll.batch.positions
    mixed = positions["ticket"].astype(np.uint64) * _TICKET
    mixed ^= positions["volume"].astype(np.float64).view(np.uint64) * _VOLUME
    mixed += positions["type"].astype(np.uint64) * _KIND
    mixed ^= mixed >> _SHIFT
    marks: _Marks = view.poll.batch.accounts["margin_mode"].astype(np.uint64) * _MODE
    np.add.at(marks, positions["account"], mixed * _VOLUME)
    return marks

"""When a provider did something, by when it was first seen, where its broker's clock is wrong."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from copytrade.watching.facts import AccountReading, Memory

# What happens is shown within so long, as long as the terminal is connected.
SHOWN_WITHIN: Final = timedelta(seconds=5)


class Dating:
    """Knows when a provider was last seen, and since when positions are shown without a deal.

    Nothing that a look shows and the one before did not can be much older than that one, whatever
    the broker's clock says: else a zone that is off by an hour would make every open late.
    """

    def __init__(self) -> None:
        self._seen_at: datetime | None = None
        self._shown_since: Mapping[int, datetime] = {}

    def forget(self) -> None:
        self._seen_at, self._shown_since = None, {}

    def see(self, now: datetime) -> None:
        """Note that a proven look showed all that there was."""
        self._seen_at = now

    def note_unexplained(self, reading: AccountReading, memory: Memory, now: datetime) -> None:
        """Note which positions are shown whose deals have yet to come."""
        self._shown_since = {
            identifier: self._shown_since.get(identifier, now)
            for identifier in reading.positions
            if identifier not in memory.positions
        }

    def dated(self, reading: AccountReading, memory: Memory) -> AccountReading:
        """Return a reading in which nothing new is older than it can be."""
        seen_at = self._seen_at
        if seen_at is None:
            return reading
        earliest = seen_at - SHOWN_WITHIN
        return replace(
            reading,
            deals=tuple(
                replace(
                    deal,
                    happened_at=max(
                        deal.happened_at,
                        min(earliest, self._shown_since.get(deal.position, seen_at) - SHOWN_WITHIN),
                    ),
                )
                for deal in reading.deals
            ),
            orders={
                ticket: order
                if ticket in memory.orders
                else replace(order, placed_at=max(order.placed_at, earliest))
                for ticket, order in reading.orders.items()
            },
        )

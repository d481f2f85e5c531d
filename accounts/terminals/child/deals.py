"""The deals of an account that are newer than those which the host has stored."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from accounts.terminals.base import TerminalError
from accounts.terminals.child.package import Package, ask
from accounts.terminals.child.rows import deal_row
from accounts.terminals.child.symbols import Symbols
from accounts.terminals.codes import CALL_FAILED

EVER: Final = 2**31 - 1  # the package cuts dates to 32 bits
DAY_SECONDS: Final = 86_400
# How far to look back for a stored deal; further than the last of them is everything.
_LOOK_BACK_DAYS: Final = (2, 16, 128, 1024)
# After something moved the history may follow a little later than the positions.
WATCH_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 1.0
# Right after a login the terminal may still be loading its history.
SETTLING_SECONDS: Final = 10.0


class Deals:
    """Knows every deal beyond the cursor, once. Times of ``now`` are monotonic seconds.

    Tickets grow with time, so that the newest stored one is a cursor. Nothing is looked up before
    the host has named it. The history is asked from a day before the newest known deal on, and only
    when it has grown.
    """

    def __init__(self, package: Package, symbols: Symbols) -> None:
        self._package = package
        self._symbols = symbols
        self._cursor: int | None = None
        self._rows: dict[int, bytes] = {}
        self._raw = b""
        self._start: int | None = None  # of the history that is watched; None: nothing read yet
        self._total = 0
        self._settled_at = 0.0
        self._look_at = 0.0
        self._watch_until = 0.0
        self.newest = 0  # ticket of the newest deal of the account, 0 for none

    @property
    def has_cursor(self) -> bool:
        return self._cursor is not None

    @property
    def raw(self) -> bytes:
        """The rows of the deals beyond the cursor, oldest first."""
        return self._raw

    def move_cursor(self, newest_stored: int) -> None:
        """Forget the deals up to a ticket; a cursor that moves back has all looked up again."""
        if self._cursor is None or newest_stored < self._cursor:
            self._start = None
            self._rows.clear()
        self._cursor = newest_stored
        self._keep({ticket: row for ticket, row in self._rows.items() if ticket > newest_stored})

    def look(self, now: float, *, has_moved: bool, is_mine: Callable[[], bool]) -> None:
        """Look for new deals when there may be some.

        ``is_mine`` tells whether the terminal still shows the expected account: what it gave
        meanwhile counts only then. Raises TerminalError when it does not, or when a call failed.
        """
        if self._cursor is None:
            return
        if has_moved:
            self._watch_until = now + WATCH_SECONDS
        if self._start is None:
            self._load(self._cursor, now, is_mine)
        elif now <= self._watch_until or now >= self._look_at:
            self._refresh(self._start, now, is_mine)

    def _load(self, cursor: int, now: float, is_mine: Callable[[], bool]) -> None:
        deals: Sequence[Any] = ()
        start = 0
        for start in self._starts(cursor):
            deals = ask(self._package, "history_deals_get", start, EVER)
            if any(deal.ticket <= cursor for deal in deals):
                break
        _require(is_mine)
        self._settled_at = now + SETTLING_SECONDS
        self._take(start, deals, now)

    def _starts(self, cursor: int) -> list[int]:
        if not cursor:
            return [0]
        today = int(time.time())
        starts = [today - days * DAY_SECONDS for days in _LOOK_BACK_DAYS]
        return [*(max(start, 0) for start in starts), 0]

    def _refresh(self, start: int, now: float, is_mine: Callable[[], bool]) -> None:
        if ask(self._package, "history_deals_total", start, EVER) == self._total:
            self._look_at = now + LOOK_SECONDS
            return
        deals = ask(self._package, "history_deals_get", start, EVER)
        _require(is_mine)
        self._take(start, deals, now)

    def _take(self, start: int, deals: Sequence[Any], now: float) -> None:
        cursor = self._cursor or 0
        rows = dict(self._rows)
        for deal in deals:
            if deal.ticket > cursor and deal.ticket not in rows:
                rows[deal.ticket] = deal_row(deal, self._symbols.number(deal.symbol))
        self.newest = max((deal.ticket for deal in deals), default=self.newest)
        self._keep(rows)
        self._start, self._total = start, len(deals)
        self._look_at = now + LOOK_SECONDS
        if deals and now >= self._settled_at:
            self._narrow(start, max(deal.time for deal in deals))

    def _narrow(self, start: int, newest_at: int) -> None:
        """Watch no more than a day before the newest deal, once that spares something."""
        if newest_at - start > 2 * DAY_SECONDS:
            self._start, self._total = newest_at - DAY_SECONDS, -1  # counted at the next look

    def _keep(self, rows: dict[int, bytes]) -> None:
        self._rows = dict(sorted(rows.items()))
        self._raw = b"".join(self._rows.values())


def _require(is_mine: Callable[[], bool]) -> None:
    if not is_mine():
        raise TerminalError(CALL_FAILED, "The terminal changed its account meanwhile.")

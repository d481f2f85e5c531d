"""What rules count from deals, filled in from the recorded ones when a rule meets an account."""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

import numpy as np
from django.db import DatabaseError, InterfaceError, close_old_connections

from accounts.models import Deal
from accounts.terminals.readings import DEAL_DTYPE, Rows
from risk.core.arrays import Flags, Floats, Integers
from risk.core.counting import FOLDED, begin_counting, count_deals
from risk.core.states import PairState
from risk.desk import AccountFacts, Desk
from risk.openers import attributed_magics

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
RETRY_AFTER_FAULT_SECONDS = 10.0
# So many accounts are read at a time: one with a long history does not hold up all others.
_ACCOUNTS_AT_ONCE = 50
_COLUMNS = (
    "ticket",
    "order",
    "position",
    "time_msc",
    "type",
    "entry",
    "reason",
    "commission",
    "swap",
    "profit",
    "fee",
    "magic",
)


@dataclass(frozen=True, slots=True)
class _History:
    """The accounts (row, newest deal) whose recorded deals were counted, and their pairs."""

    accounts: tuple[tuple[int, int], ...]
    pairs: Integers
    columns: dict[str, Floats | Flags]


class Backfill:
    """Counts recorded deals beside the tick, for the pairs of one desk that have not begun.

    The recorder may be behind the tick; an account is counted once all deals that the tick has seen
    of it are recorded, and again when it traded meanwhile.
    """

    def __init__(self, desk: Desk, executor: Executor, *, is_inline: bool = False) -> None:
        self._desk = desk
        self._executor = executor
        self._is_inline = is_inline
        self._job: Future[_History] | None = None
        self._not_before = float("-inf")
        self._from = 0  # accounts that are not recorded yet must not hold up those after them

    def fill_in(self, state: PairState, last_deal: Integers, monotonic: float) -> PairState:
        """Return the state with what was counted; `last_deal` is the newest deal per account.

        Call it before the deals of a poll are counted and their cursor moves.
        """
        table = self._desk.pairs
        if not table.counted.any():
            return state
        waiting = table.counted & np.isnan(state.day_started_at)
        if not waiting.any():
            self._job = None
            return state
        fresh = np.flatnonzero(waiting & (last_deal[table.account_index] == 0))
        state = begin_counting(table, state, fresh)
        waiting[fresh] = False
        state, filled = self._apply(state, last_deal, waiting, monotonic)
        waiting[filled] = False
        if self._job is None and waiting.any() and monotonic >= self._not_before:
            self._ask(state, last_deal, waiting)
            if self._is_inline:
                return self._apply(state, last_deal, waiting, monotonic)[0]
        return state

    def _apply(
        self, state: PairState, last_deal: Integers, waiting: Flags, monotonic: float
    ) -> tuple[PairState, Integers]:
        nothing = np.empty(0, dtype=np.int64)
        if self._job is None or not self._job.done():
            return state, nothing
        job, self._job = self._job, None
        try:
            history = job.result()
        except (DatabaseError, InterfaceError) as error:
            self._not_before = monotonic + RETRY_SECONDS
            logger.warning("Recorded deals could not be counted yet: %s", error)
            return state, nothing
        except Exception:
            # What one account's history holds must not end the watch over all others.
            self._not_before = monotonic + RETRY_AFTER_FAULT_SECONDS
            logger.exception("Recorded deals can't be counted.")
            return state, nothing
        rows = [row for row, newest in history.accounts if last_deal[row] == newest]
        if len(rows) < len(history.accounts) or not history.accounts:
            self._not_before = monotonic + RETRY_SECONDS
        index = self._desk.pairs.account_index[history.pairs]
        good = np.isin(index, rows) & waiting[history.pairs]
        pairs = history.pairs[good]
        changes = {}
        for name, values in history.columns.items():
            column = getattr(state, name).copy()
            column[pairs] = values[good]
            changes[name] = column
        return replace(state, **changes), pairs

    def _ask(self, state: PairState, last_deal: Integers, waiting: Flags) -> None:
        rows = np.unique(self._desk.pairs.account_index[waiting])
        # Each time others come first.
        rows = np.r_[rows[rows >= self._from], rows[rows < self._from]][:_ACCOUNTS_AT_ONCE]
        self._from = int(rows[-1]) + 1
        asked = [
            (row, account, int(last_deal[row]))
            for row in rows.tolist()
            if (account := self._desk.accounts[row]) is not None
        ]
        self._job = self._executor.submit(self._count, asked, state, waiting.copy())

    def _count(
        self, asked: Sequence[tuple[int, AccountFacts, int]], state: PairState, waiting: Flags
    ) -> _History:
        if not self._is_inline:
            close_old_connections()
        try:
            found = {row: _recorded(row, account, newest) for row, account, newest in asked}
        finally:
            if not self._is_inline:
                close_old_connections()
        complete = [
            (row, newest)
            for row, _, newest in asked
            if len(found[row]) and found[row]["ticket"][-1] >= newest
        ]
        rows = [row for row, _ in complete]
        table = self._desk.pairs
        pairs = np.flatnonzero(waiting & np.isin(table.account_index, rows))
        counted = begin_counting(table, state, pairs)
        if rows:
            counted = count_deals(table, counted, np.concatenate([found[row] for row in rows]))
        columns = {name: getattr(counted, name)[pairs] for name in FOLDED}
        return _History(tuple(complete), pairs, columns)


def _recorded(row: int, account: AccountFacts, newest: int) -> Rows:
    """Return an account's recorded deals up to one, with the magic of what each closed."""
    stored = Deal.objects.filter(
        account=account.id, server=account.server, login=account.login, ticket__lte=newest
    ).order_by("ticket")
    values = list(stored.values_list(*_COLUMNS))
    deals = np.zeros(len(values), dtype=DEAL_DTYPE)
    for place, name in enumerate(_COLUMNS):
        deals[name] = [value[place] for value in values]
    deals["account"] = row
    deals["magic"] = attributed_magics(deals, {})
    return deals

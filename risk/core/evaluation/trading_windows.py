"""The rule on when nothing may be open."""

import numpy as np

from risk.core.arrays import Flags, Floats, Integers
from risk.core.holdings import Holdings
from risk.core.instruments import currency_codes
from risk.core.pairs import PairTable
from risk.core.results import Evaluation, give_reason, mark_reached, without_noise
from risk.core.statuses import Reason
from risk.core.windows import ClockWindow, NewsWindow, covers, minutes_until, minutes_until_news


def judge_trading_window(
    result: Evaluation, table: PairTable, part: slice, holdings: Holdings
) -> None:
    """Compare the minutes until the window begins, for accounts that hold something.

    What is left shrinks over the last `limit` minutes; inside it is negative, minus the minutes
    since the window began. With nothing open all of it is left.
    """
    exposures, index = holdings.exposures, table.account_index[part]
    pending = table.include_pending[part]
    holder = table.holder[part]
    held = (exposures.positions[holder] > 0) | (pending & (exposures.pending_orders[holder] > 0))
    minutes = _minutes(result, table, part, holdings)
    limit = table.fixed_amount[part]
    known = holdings.accounts.known[index] & ~np.isnan(minutes)
    left = np.where(held, np.minimum(without_noise(minutes), limit), limit)
    left = np.where(known, left, np.nan)
    result.value[part] = np.where(known & held & np.isfinite(minutes), minutes, np.nan)
    result.limit[part] = limit
    result.left[part] = left
    result.used[part] = limit - left
    result.buffer[part] = left / limit
    give_reason(result, part, Reason.NOTHING_OPEN, known & ~held)
    mark_reached(result, part, left)


def _minutes(result: Evaluation, table: PairTable, part: slice, holdings: Holdings) -> Floats:
    """Return the minutes until each pair's window begins, NaN where that is not known."""
    numbers = table.window_index
    minutes = np.full(len(numbers), np.nan)
    moment = holdings.surroundings.moment
    if np.isnan(moment):
        give_reason(result, part, Reason.NO_MOMENT, np.ones(len(numbers), dtype=np.bool_))
        return minutes
    news: _HeldCurrencies | None = None
    for number in np.unique(numbers).tolist():
        window, here = table.windows[number], np.flatnonzero(numbers == number)
        if isinstance(window, ClockWindow):
            minutes[here] = minutes_until(window, moment)
            continue
        news = _HeldCurrencies(holdings) if news is None else news
        minutes[here], reasons = news.minutes(window, table, part.start + here)
        told = np.zeros(len(numbers), dtype=np.int8)
        told[here] = reasons
        for reason in (Reason.NO_OWNER, Reason.NO_CALENDAR, Reason.NO_CURRENCIES):
            give_reason(result, part, reason, told == reason)
    return minutes


class _HeldCurrencies:
    """The currencies that accounts hold in positions and in pending orders."""

    def __init__(self, holdings: Holdings) -> None:
        exposures, self._surroundings = holdings.exposures, holdings.surroundings
        self._count = len(exposures)
        positions = len(exposures.held)
        account = np.concatenate([exposures.held["account"], exposures.pending["account"]])
        symbol = np.concatenate([exposures.held["symbol"], exposures.pending["symbol"]])
        account, symbol = account.astype(np.int64), symbol.astype(np.int64)
        codes = currency_codes(exposures, self._surroundings, account, symbol)
        self.names = codes.names
        self._open = self._flags(account, codes.base, codes.profit, slice(0, positions))
        self._pending = self._flags(account, codes.base, codes.profit, slice(positions, None))

    def _flags(self, account: Integers, base: Integers, profit: Integers, rows: slice) -> Flags:
        """Return which currency each account holds; the last column is for unknown ones."""
        flags = np.zeros((self._count, len(self.names) + 1), dtype=np.bool_)
        flags[account[rows], base[rows]] = True
        flags[account[rows], profit[rows]] = True
        return flags

    def minutes(
        self, window: NewsWindow, table: PairTable, pairs: Integers
    ) -> tuple[Floats, Integers]:
        """Return the minutes until the next window of each pair, and why they are NaN."""
        accounts, holder = table.account_index[pairs], table.holder[pairs]
        pending = table.include_pending[pairs][:, np.newaxis]
        held = self._open[holder] | (self._pending[holder] & pending)
        minutes = np.full(len(accounts), np.nan)
        reasons = np.zeros(len(accounts), dtype=np.int64)
        users, moment = self._surroundings.users, self._surroundings.moment
        if not len(users):
            return minutes, np.full(len(accounts), int(Reason.NO_OWNER))
        owners, owner_of = np.unique(users[accounts], return_inverse=True)
        ahead = np.full((len(owners), len(self.names) + 1), np.nan)
        for row, user in enumerate(owners.tolist()):
            calendar = self._surroundings.calendars.get(user)
            if calendar is not None and covers(calendar, window, moment):
                ahead[row, :-1] = minutes_until_news(window, calendar, self.names, moment)
                ahead[row, -1] = np.inf
        of_pair = ahead[owner_of.reshape(-1)]
        nearest = np.where(held, of_pair, np.inf).min(axis=1)
        no_calendar = np.isnan(of_pair[:, -1])
        unknown = ~no_calendar & held[:, -1] & (nearest > 0)
        minutes = np.where(no_calendar | unknown, np.nan, nearest)
        reasons[unknown] = Reason.NO_CURRENCIES
        reasons[no_calendar] = Reason.NO_CALENDAR
        return minutes, reasons

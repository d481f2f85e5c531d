"""Whether an order would be open at a time at which its rule wants the account flat."""

import math

import numpy as np

from risk.core.gate.cases import Cases
from risk.core.pairs import PairTable
from risk.core.rule_types import RuleType
from risk.core.windows import ClockWindow, NewsWindow, covers, minutes_until, minutes_until_news


def minutes_to_window(cases: Cases, case: int, pair: int) -> float:
    """Return the minutes until the rule's window begins, negative since when it runs.

    Infinite without a further one, NaN when it is not known. News concern an order by the
    currencies of its symbol.
    """
    around = cases.book.surroundings
    window = _window(cases.book.table, pair)
    if math.isnan(around.moment):
        return math.nan
    if isinstance(window, ClockWindow):
        return minutes_until(window, around.moment)
    return _minutes_to_news(cases, case, window)


def window_runs(cases: Cases, case: int, pair: int) -> float:
    """Return 1 when the window runs, 0 when it does not, NaN when that is not known."""
    minutes = minutes_to_window(cases, case, pair)
    return math.nan if math.isnan(minutes) else float(minutes <= 0)


def _window(table: PairTable, pair: int) -> ClockWindow | NewsWindow:
    part = table.slice_of(RuleType.TRADING_WINDOW)
    return table.windows[int(table.window_index[pair - part.start])]


def _minutes_to_news(cases: Cases, case: int, window: NewsWindow) -> float:
    around, row = cases.book.surroundings, int(cases.row[case])
    user = int(around.users[row]) if len(around.users) else None
    calendar = around.calendars.get(user) if user is not None else None
    terms = cases.intents.form_of(case).terms
    if terms is None or calendar is None or not covers(calendar, window, around.moment):
        return math.nan
    currencies = tuple(dict.fromkeys((terms.currency_base, terms.currency_profit)))
    return float(np.min(minutes_until_news(window, calendar, currencies, around.moment)))

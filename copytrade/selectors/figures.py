"""An account's money as its last reading in the hot state tells it."""

import math
from datetime import datetime

from accounts.hot_state import AccountState
from accounts.terminals.readings import STALE_AFTER_SECONDS
from copytrade.core.facts import AccountFigures


def figures_of(state: AccountState | None, *, now: datetime) -> AccountFigures | None:
    """Return the figures of a fresh reading; None without one, for an old one is not known."""
    if state is None:
        return None
    account = state.account
    read_at = float(account["read_at"])
    if math.isnan(read_at) or now.timestamp() - read_at > STALE_AFTER_SECONDS:
        return None
    number, currencies = int(account["currency"]), state.tables.currencies
    if not 0 <= number < len(currencies):
        return None
    return AccountFigures(
        currency=currencies[number],
        equity=float(account["equity"]),
        balance=float(account["balance"]),
        free_margin=float(account["margin_free"]),
        currency_digits=int(account["currency_digits"]),
    )

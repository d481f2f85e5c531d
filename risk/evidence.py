"""What an account and its positions were when a rule was violated, as plain values."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from accounts.core.zones import broker_zone, from_broker_epoch
from accounts.sessions.poll import Poll
from accounts.terminals.readings import Rows
from risk.desk import AccountFacts

# Of an account with more, those that float the most one way or the other are kept.
MOST_POSITIONS = 200
_ACCOUNT = ("balance", "credit", "equity", "profit", "margin", "margin_free", "margin_level")
_POSITION = ("price_open", "price_current", "sl", "tp", "profit", "swap", "volume", "notional")
_SIDES = ("buy", "sell")


def evidence_of(poll: Poll, row: int, account: AccountFacts) -> dict[str, Any]:
    """Return the account's numbers and positions in its last reading; money in its currency.

    Amounts that are not known are None. Positions are ordered by their ticket.
    """
    reading = poll.batch.accounts[row]
    held = poll.batch.positions[poll.batch.positions["account"] == row]
    kept = _kept(held)
    return {
        "account": {
            "login": account.login,
            "server": account.server,
            "currency": poll.batch.currencies[int(reading["currency"])],
            "leverage": int(reading["leverage"]),
            "read_at": _moment(float(poll.read_at[row])),
            "pending_orders": int((poll.batch.orders["account"] == row).sum()),
            **{name: _number(float(reading[name])) for name in _ACCOUNT},
        },
        "position_count": len(held),
        "positions": [_position(one, poll.batch.symbols, account) for one in kept],
    }


def _kept(held: Rows) -> Rows:
    if len(held) > MOST_POSITIONS:
        floating = np.abs(np.nan_to_num(held["profit"] + held["swap"]))
        held = held[np.argsort(-floating, kind="stable")[:MOST_POSITIONS]]
    kept: Rows = held[np.argsort(held["ticket"], kind="stable")]
    return kept


def _position(row: np.void, symbols: tuple[str, ...], account: AccountFacts) -> dict[str, Any]:
    opened = from_broker_epoch(int(row["time_msc"]) / 1000, broker_zone(account.terms.broker_zone))
    return {
        "ticket": int(row["ticket"]),
        "symbol": symbols[int(row["symbol"])],
        "side": _SIDES[int(row["type"]) & 1],
        "magic": int(row["magic"]),
        "opened_at": _moment(opened),
        **{name: _number(float(row[name])) for name in _POSITION},
    }


def _number(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def _moment(epoch: float) -> str | None:
    if not abs(epoch) < float("inf"):
        return None
    return datetime.fromtimestamp(epoch, UTC).isoformat().replace("+00:00", "Z")

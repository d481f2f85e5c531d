"""What programs are told of an account's terminal, orders and health, in plain values.

Fields that MetaTrader has carry its names; its numbers for kinds are told as words.
"""

import math
from datetime import UTC, datetime
from typing import Any

from accounts.core.kinds import OTHER, OrderType, StopOutMode, TradeMode, words
from accounts.health import Change, Health
from accounts.hot_state import AccountState
from accounts.models import ConnectedAccount
from accounts.notices import notices_of
from accounts.terminals.readings import ORDER_DTYPE

Json = dict[str, Any]

_TRADE_MODES, _STOP_OUT_MODES = words(TradeMode), words(StopOutMode)
_ORDER_TYPES = words(OrderType)
_ORDER = {name: place for place, name in enumerate(ORDER_DTYPE.names or ())}


def terminal_facts(account: ConnectedAccount, state: AccountState) -> Json:
    """Return what the terminal says of the account beside its money."""
    reading = state.account
    return {
        "login": account.login,
        "server": account.server,
        "company": account.broker,
        "trade_mode": _TRADE_MODES.get(int(reading["trade_mode"])),
        "trade_allowed": bool(reading["trade_allowed"]),
        "terminal_trade_allowed": bool(reading["algo_trading_allowed"]),
        "margin_so_mode": _STOP_OUT_MODES.get(int(reading["stop_out_mode"])),
        "margin_so_call": known(reading["stop_out_call"]),
        "margin_so_so": known(reading["stop_out_level"]),
        "clock_offset_seconds": known(reading["clock_offset"]),
    }


def notice_objects(
    account: ConnectedAccount, state: AccountState | None, *, now: datetime, cut_off_percent: float
) -> list[Json]:
    return [
        {"kind": notice.kind.value, "level": notice.level.value, "sentence": notice.sentence}
        for notice in notices_of(account, state, now, cut_off_percent=cut_off_percent)
    ]


def order_objects(state: AccountState) -> list[Json]:
    """List the pending orders of a reading."""
    symbols = state.tables.symbols
    return [
        {
            "ticket": row[_ORDER["ticket"]],
            "symbol": symbols[row[_ORDER["symbol"]]],
            "type": _ORDER_TYPES.get(row[_ORDER["type"]], OTHER),
            "volume_current": row[_ORDER["volume"]],
            "price_open": row[_ORDER["price_open"]],
            "sl": row[_ORDER["sl"]] or None,
            "tp": row[_ORDER["tp"]] or None,
            "magic": row[_ORDER["magic"]],
            "placed_at_broker": broker_time(row[_ORDER["time_msc"]]),
        }
        for row in state.orders.tolist()
    ]


def health_object(health: Health, state: AccountState | None, *, now: datetime) -> Json:
    """Return the health of a connection, with what the worker counts of the account's identity."""
    age = age_seconds(state, now)
    return {
        "uptimes": [
            {
                "window": uptime.window,
                "uptime_fraction": uptime.uptime_fraction,
                "wanted_seconds": round(uptime.wanted_seconds, 3),
                "connected_seconds": round(uptime.connected_seconds, 3),
                "reconnects": uptime.reconnects,
                "failures": uptime.failures,
            }
            for uptime in health.uptimes
        ],
        "last_errors": [_error_object(change) for change in health.last_errors],
        "reading_age_seconds": age,
        **identity_counts(state),
    }


def health_summary(health: Health, state: AccountState | None) -> Json:
    """Return the health of the last day in short."""
    day = next(uptime for uptime in health.uptimes if uptime.window == "1d")
    return {
        "uptime_fraction": day.uptime_fraction,
        "reconnects": day.reconnects,
        "last_error": _error_object(health.last_errors[0]) if health.last_errors else None,
        **identity_counts(state),
    }


def identity_counts(state: AccountState | None) -> Json:
    names = ("identity_checks", "identity_failures")
    return {name: int(state.account[name]) if state is not None else None for name in names}


def age_seconds(state: AccountState | None, now: datetime) -> float | None:
    """Return how old the last accepted reading is, None without one."""
    read_at = known(state.account["read_at"]) if state is not None else None
    return None if read_at is None else round(max(now.timestamp() - read_at, 0.0), 3)


def known(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def broker_time(time_msc: int) -> str:
    """Write the broker's wall clock as the terminal shows it."""
    return datetime.fromtimestamp(time_msc / 1000.0, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _error_object(change: Change) -> Json:
    return {"at": change.at, "reason": change.reason, "message": change.message}

"""What a browser sends for a rule of each type: the fields of its form, filled in."""

from typing import Any

COMMON: dict[str, Any] = {
    "name": "A rule",
    "action": "ALERT",
    "caution": "30",
    "critical": "10",
    "act_at_fraction": "100",
    "act_after_seconds": "0",
    "closing_order": "largest_loss_first",
    "close_fraction": "100",
    "is_active": "on",
    "applies_to_all_accounts": "on",
}

# By type: what is typed, and the limit as the rule then has it.
TYPED: dict[str, tuple[dict[str, Any], str]] = {
    "MAX_DAILY_LOSS": (
        {
            "limit": "5", "amount_kind": "fraction_of_initial", "reference": "balance",
            "comparison": "below", "reset_time": "00:00", "reset_zone": "Europe/Prague",
            "withdrawals_move_floor": "on", "magic": "77",
        },
        "0.05",
    ),
    "MAX_DRAWDOWN": (
        {
            "limit": "2500", "amount_kind": "money", "kind": "trailing_end_of_day",
            "lock": "at_offset", "lock_offset": "100", "comparison": "at_or_below",
        },
        "2500",
    ),
    "MARGIN_LEVEL": ({"limit": "150", "comparison": "at_or_below", "hold_seconds": "30"}, "150"),
    "MAX_POSITION_SIZE": ({"limit": "2.5", "symbols": "EURUSD, GBPUSD.r"}, "2.5"),
    "POSITION_LIMIT": ({"limit": "4", "include_pending": "on", "hold_seconds": "0"}, "4"),
    "MAX_LEVERAGE": ({"limit": "12.5", "gross": "on"}, "12.5"),
    "MAX_EXPOSURE": ({"limit": "3", "exposure_of": "currency", "symbols": "EUR"}, "3"),
    "MAX_CORRELATION": ({"limit": "0.8", "hold_seconds": "10"}, "0.8"),
    "RISK_PER_TRADE": ({"limit": "0.5", "symbols": ""}, "0.005"),
    "STOP_LOSS_REQUIRED": ({"limit": "2"}, "2"),
    "MAX_DAILY_TRADES": ({"limit": "10", "reset_time": "17:00"}, "10"),
    "TRADING_WINDOW": (
        {
            "limit": "30", "kind": "weekend", "from_weekday": "4", "from_time": "21:45",
            "until_weekday": "6", "until_time": "22:05", "zone": "Europe/Prague",
            "include_pending": "on", "min_importance": "high", "currencies": "usd, EUR",
        },
        "30",
    ),
    "NO_CROSS_HEDGING": ({"hold_seconds": "60"}, "1"),
    "INACTIVITY": ({"limit": "25"}, "25"),
    "PROFIT_TARGET": ({"limit": "8", "amount_kind": "fraction_of_initial"}, "0.08"),
    "MIN_TRADING_DAYS": ({"limit": "4", "reset_zone": "Europe/Prague"}, "4"),
    "CONSISTENCY": ({"limit": "50", "basis": "positive_days"}, "0.5"),
}  # fmt: skip


def typed(rule_type: str, **changes: Any) -> dict[str, Any]:
    """Return what a browser sends for a rule of this type."""
    return {**COMMON, "rule_type": rule_type, **TYPED[rule_type][0], **changes}

"""The columns of the broker's tables, and what older books are taken to hold in newer ones."""

from collections.abc import Mapping
from typing import Any

ACCOUNT_COLUMNS = (
    ("login", "<i8"), ("server", "<i4"), ("name", "O"), ("currency", "<i4"),
    ("currency_digits", "<i1"), ("leverage", "<i4"), ("trade_mode", "<i1"), ("margin_mode", "<i1"),
    ("balance", "<f8"), ("credit", "<f8"), ("floating", "<f8"), ("margin", "<f8"),
    ("stop_out_mode", "<i1"), ("stop_out_call", "<f8"), ("stop_out_level", "<f8"),
    ("margin_call", "?"), ("commission_per_lot", "<f8"), ("position_limit", "<i4"),
    ("order_limit", "<i4"), ("fifo_close", "?"), ("trade_allowed", "?"), ("trade_expert", "?"),
    ("investor", "?"), ("algo_trading", "?"), ("python_api", "?"), ("enabled", "?"),
    ("last_deal", "<i8"),
    ("password", "O"), ("investor_password", "O"), ("robot", "O"),
)  # fmt: skip
_KEPT_POSITION_COLUMNS = (
    ("account", "<i4"), ("ticket", "<i8"), ("identifier", "<i8"), ("symbol", "<i4"),
    ("type", "<i1"), ("volume", "<f8"), ("price_open", "<f8"), ("sl", "<f8"), ("tp", "<f8"),
    ("swap", "<f8"), ("magic", "<u8"), ("reason", "<i1"), ("time_msc", "<i8"),
    ("time_update_msc", "<i8"), ("margin_per_lot", "<f8"), ("comment", "O"),
)  # fmt: skip
# Follow from the columns above, from the contracts and from the last prices; not kept on disk.
_DERIVED_POSITION_COLUMNS = (
    ("live", "?"), ("sign", "<f8"), ("units", "<f8"), ("pair", "<i4"), ("side", "<i4"),
    ("money_scale", "<f8"), ("sl_edge", "<f8"), ("tp_edge", "<f8"), ("price_current", "<f8"),
    ("profit", "<f8"),
)  # fmt: skip
POSITION_COLUMNS = _KEPT_POSITION_COLUMNS + _DERIVED_POSITION_COLUMNS
ORDER_COLUMNS = (
    ("account", "<i4"), ("ticket", "<i8"), ("symbol", "<i4"), ("type", "<i1"),
    ("filling", "<i1"), ("type_time", "<i1"), ("state", "<i1"), ("reason", "<i1"),
    ("magic", "<u8"), ("position", "<i8"), ("position_by", "<i8"), ("time_setup_msc", "<i8"),
    ("time_done_msc", "<i8"), ("time_expiration", "<i8"), ("volume_initial", "<f8"),
    ("volume_current", "<f8"), ("price_open", "<f8"), ("price_stoplimit", "<f8"), ("sl", "<f8"),
    ("tp", "<f8"), ("price_current", "<f8"), ("comment", "O"),
    # ``due_msc``: when an accepted order is to be executed, 0 for one that waits for its price.
    # ``margin``: what a waiting order reserves, in account currency.
    # ``slippage_points`` and ``fill_fraction``: terms of its execution, see `Execution`.
    ("due_msc", "<i8"), ("margin", "<f8"), ("deviation", "<i4"), ("slippage_points", "<i4"),
    ("fill_fraction", "<f8"),
)  # fmt: skip
DEAL_COLUMNS = (
    ("account", "<i4"), ("ticket", "<i8"), ("order", "<i8"), ("position", "<i8"),
    ("time_msc", "<i8"), ("type", "<i1"), ("entry", "<i1"), ("reason", "<i1"), ("symbol", "<i4"),
    ("volume", "<f8"), ("price", "<f8"), ("commission", "<f8"), ("swap", "<f8"),
    ("profit", "<f8"), ("fee", "<f8"), ("magic", "<u8"), ("comment", "O"),
)  # fmt: skip

# A column that books on disk may lack (they were written before it was there) has a default.
ACCOUNT_DEFAULTS: Mapping[str, Any] = {
    "margin_call": False, "order_limit": 0, "fifo_close": False, "trade_expert": True,
    "python_api": True,
}  # fmt: skip
POSITION_DEFAULTS: Mapping[str, Any] = dict.fromkeys(
    (name for name, _ in _DERIVED_POSITION_COLUMNS), 0
)
ORDER_DEFAULTS: Mapping[str, Any] = {
    "due_msc": 0, "margin": 0.0, "deviation": 0, "slippage_points": 0, "fill_fraction": 1.0,
}  # fmt: skip

"""A program as developers write them for MetaTrader 5; it knows nothing of a simulation.

Tests run it, in a process of its own, as ``borrowed_program.py LOGIN PASSWORD SERVER SYMBOL``.
"""

import json
import pickle
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import MetaTrader5 as mt5  # noqa: N813 (all programs do)
from MetaTrader5 import *  # noqa: F403 (many do, and use the bare names)


def as_table(rows: Any) -> dict[str, list[Any]]:
    """Turn result tuples into columns, as a data frame does."""
    return {name: [row._asdict()[name] for row in rows] for name in rows[0]._asdict()}


def constants(prefix: str) -> dict[int, str]:
    return {getattr(mt5, name): name for name in dir(mt5) if name.startswith(prefix)}


def trade(symbol: str) -> dict[str, Any]:
    info, tick = mt5.symbol_info(symbol), mt5.symbol_info_tick(symbol)
    if not info.visible and not mt5.symbol_select(symbol, True):
        raise SystemExit(f"no {symbol}")
    request = {
        "action": mt5.TRADE_ACTION_DEAL,
        "symbol": symbol,
        "volume": 0.3,
        "type": globals()["ORDER_TYPE_BUY"],
        "price": tick.ask,
        "sl": round(tick.ask - 500 * info.point, info.digits),
        "deviation": 20,
        "magic": 234000,
        "comment": "borrowed",
        "type_time": mt5.ORDER_TIME_GTC,
        "type_filling": mt5.ORDER_FILLING_IOC,
    }
    check, sent = mt5.order_check(request), mt5.order_send(request)
    (position,) = mt5.positions_get(symbol=symbol)
    mt5.order_send(
        {
            **request,
            "volume": 0.1,
            "type": globals()["ORDER_TYPE_SELL"],
            "price": tick.bid,
            "sl": 0.0,
            "position": position.ticket,
        }
    )
    return {
        "check": check.retcode,
        "sent": constants("TRADE_RETCODE_")[sent.retcode],
        "magic": position.magic,
        "request_magic": sent.request.magic,
        "left": mt5.positions_get(ticket=position.ticket)[0].volume,
        "closed": mt5.Close(symbol),
        "positions": mt5.positions_get(),
        "deals": as_table(mt5.history_deals_get(position=position.ticket)),
    }


def market(symbol: str) -> dict[str, Any]:
    rates = mt5.copy_rates_from_pos(symbol, mt5.TIMEFRAME_M1, 0, 10)
    ticks = mt5.copy_ticks_from(symbol, datetime(2020, 1, 1, tzinfo=UTC), 5, mt5.COPY_TICKS_ALL)
    now = datetime.now(UTC)
    return {
        "columns": list(rates.dtype.names),
        "last_close": float(rates["close"][-1]),
        "ticks": len(ticks),
        "group": [each.name for each in mt5.symbols_get("*EUR*,!*GBP*,!*JPY*")],
        "deals_of_group": len(
            mt5.history_deals_get(now - timedelta(days=900), now, group="*EUR*") or ()
        ),
        "no_symbol": [mt5.symbol_info("NOSUCH"), mt5.last_error()],
    }


def main() -> None:
    login, password, server, symbol = sys.argv[1:]
    if not mt5.initialize(login=int(login), password=password, server=server):
        raise SystemExit(f"initialize() failed, {mt5.last_error()}")
    account = mt5.account_info()
    try:
        pickle.dumps(account)
        pickles = True
    except pickle.PicklingError:
        pickles = False
    report = {
        "package": [mt5.__name__, mt5.__version__, mt5.__author__],
        "account": account._asdict(),
        "is_tuple": isinstance(account, mt5.AccountInfo) and account[0] == account.login,
        "pickles": pickles,
        "market": market(symbol),
        "trade": trade(symbol),
        "total": mt5.history_orders_total(0, 2**31 - 1),
        "shutdown": mt5.shutdown(),
        "afterwards": [mt5.account_info(), mt5.last_error()],
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()

"""A trade server for tests: a clock and prices that move only when a test moves them."""

from typing import Any

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.server import TradeServer

SERVER = "Northwind-Demo"
START = 1_795_000_000.0  # Wednesday, 18 November 2026, 11:06:40 UTC
PASSWORD = "correct horse"


class Clock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Desk:
    """A server without a feed, and short forms of the requests that tests send."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.server = TradeServer(**{"clock": self.clock, "feed": False, **options})

    def open_account(self, login: int = 1001, **terms: Any) -> int:
        terms = {"deposit": 10_000.0, **terms}
        self.server.create_account(login, PASSWORD, SERVER, f"Account {login}", **terms)
        return login

    def send(self, login: int, **request: Any) -> Any:
        return self.server.call("order_send", login, request)

    def market(self, login: int, side: int, lots: float, symbol: str = "EURUSD",
               **more: Any) -> Any:  # fmt: skip
        request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": lots, "type": side}
        return self.send(login, **{**request, "type_filling": mt5.ORDER_FILLING_FOK, **more})

    def buy(self, login: int, lots: float, symbol: str = "EURUSD", **more: Any) -> int:
        result = self.market(login, mt5.ORDER_TYPE_BUY, lots, symbol, **more)
        assert result[0] == mt5.TRADE_RETCODE_DONE, result
        return int(result[2])

    def sell(self, login: int, lots: float, symbol: str = "EURUSD", **more: Any) -> int:
        result = self.market(login, mt5.ORDER_TYPE_SELL, lots, symbol, **more)
        assert result[0] == mt5.TRADE_RETCODE_DONE, result
        return int(result[2])

    def place(self, login: int, kind: int, lots: float, price: float, symbol: str = "EURUSD",
              **more: Any) -> Any:  # fmt: skip
        """Send a pending order; return the whole result."""
        return self.send(login, **{
            "action": mt5.TRADE_ACTION_PENDING, "symbol": symbol, "volume": lots, "type": kind,
            "price": price, "type_filling": mt5.ORDER_FILLING_RETURN, **more,
        })  # fmt: skip

    def wait_for(self, login: int, kind: int, lots: float, price: float, symbol: str = "EURUSD",
                 **more: Any) -> int:  # fmt: skip
        """Place a pending order that must be taken; return its ticket."""
        result = self.place(login, kind, lots, price, symbol, **more)
        assert result[0] in (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_PLACED), result
        return int(result[2])

    def modify(self, login: int, ticket: int, price: float, **more: Any) -> Any:
        return self.send(login, action=mt5.TRADE_ACTION_MODIFY, order=ticket, price=price, **more)

    def remove(self, login: int, ticket: int) -> Any:
        return self.send(login, action=mt5.TRADE_ACTION_REMOVE, order=ticket)

    def close_by(self, login: int, ticket: int, by: int) -> Any:
        return self.send(login, action=mt5.TRADE_ACTION_CLOSE_BY, position=ticket, position_by=by)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.server.step()

    def orders(self, login: int) -> list[dict[str, Any]]:
        rows = self.server.call("orders", login, None, None, None)
        return [dict(zip(ORDER_FIELDS, row, strict=True)) for row in rows]

    def done_orders(self, login: int) -> list[dict[str, Any]]:
        rows = self.server.call("history_orders", login, 0, 4_000_000_000, None, None, None)
        return [dict(zip(ORDER_FIELDS, row, strict=True)) for row in rows]

    def account(self, login: int) -> dict[str, Any]:
        row = self.server.call("account_info", login)
        return dict(zip(ACCOUNT_FIELDS, row, strict=True))

    def positions(self, login: int) -> list[dict[str, Any]]:
        rows = self.server.call("positions", login, None, None, None)
        return [dict(zip(POSITION_FIELDS, row, strict=True)) for row in rows]

    def deals(self, login: int) -> list[dict[str, Any]]:
        rows = self.server.call("history_deals", login, 0, 4_000_000_000, None, None, None)
        return [dict(zip(DEAL_FIELDS, row, strict=True)) for row in rows]


ACCOUNT_FIELDS = (
    "login", "trade_mode", "leverage", "limit_orders", "margin_so_mode", "trade_allowed",
    "trade_expert", "margin_mode", "currency_digits", "fifo_close", "balance", "credit", "profit",
    "equity", "margin", "margin_free", "margin_level", "margin_so_call", "margin_so_so",
    "margin_initial", "margin_maintenance", "assets", "liabilities", "commission_blocked", "name",
    "server", "currency", "company",
)  # fmt: skip
POSITION_FIELDS = (
    "ticket", "time", "time_msc", "time_update", "time_update_msc", "type", "magic", "identifier",
    "reason", "volume", "price_open", "sl", "tp", "price_current", "swap", "profit", "symbol",
    "comment", "external_id",
)  # fmt: skip
ORDER_FIELDS = (
    "ticket", "time_setup", "time_setup_msc", "time_done", "time_done_msc", "time_expiration",
    "type", "type_time", "type_filling", "state", "magic", "position_id", "position_by_id",
    "reason", "volume_initial", "volume_current", "price_open", "sl", "tp", "price_current",
    "price_stoplimit", "symbol", "comment", "external_id",
)  # fmt: skip
DEAL_FIELDS = (
    "ticket", "order", "time", "time_msc", "type", "entry", "magic", "position", "reason",
    "volume", "price", "commission", "swap", "profit", "fee", "symbol", "comment", "external_id",
)  # fmt: skip

"""The batch read held against single calls: both ways of asking give the same answer."""

from accounts.terminals.readings import DEAL_DTYPE, Outcome, ReadingBatch
from accounts.terminals.simulated.surface.tuples import TradeOrder
from accounts.tests.simulated_desk import Desk

_ACCOUNT_NAMES = {
    "login": "login", "trade_allowed": "trade_allowed", "trade_mode": "trade_mode",
    "margin_mode": "margin_mode", "leverage": "leverage", "currency_digits": "currency_digits",
    "balance": "balance", "credit": "credit", "profit": "profit", "equity": "equity",
    "margin": "margin", "margin_free": "margin_free", "margin_level": "margin_level",
    "stop_out_mode": "margin_so_mode", "stop_out_call": "margin_so_call",
    "stop_out_level": "margin_so_so",
}  # fmt: skip
_POSITION_NAMES = ("ticket", "type", "volume", "price_open", "price_current", "sl", "tp", "swap",
                   "profit", "magic", "time_msc", "identifier")  # fmt: skip
_ORDER_NAMES = {
    "ticket": "ticket", "type": "type", "volume": "volume_current", "price_open": "price_open",
    "price_stoplimit": "price_stoplimit", "sl": "sl", "tp": "tp", "magic": "magic",
    "time_msc": "time_setup_msc", "type_time": "type_time", "time_expiration": "time_expiration",
}  # fmt: skip
_DEAL_NAMES = tuple(name for name in DEAL_DTYPE.names or () if name not in ("account", "symbol"))


def assert_equal_to_single_reads(desk: Desk, batch: ReadingBatch, place: int, login: int) -> None:
    """Hold an account's rows in a batch against what its terminal answers to single calls."""
    account = desk.account(login)
    row = batch.accounts[place]
    assert row["outcome"] == Outcome.ANSWERED
    for name, single_name in _ACCOUNT_NAMES.items():
        assert row[name] == account[single_name], name
    assert batch.servers[row["server"]] == account["server"]
    assert batch.currencies[row["currency"]] == account["currency"]
    _assert_equal_positions(desk, batch, place, login)
    _assert_equal_orders(desk, batch, place, login)
    deals = batch.deals[batch.deals["account"] == place]
    single_deals = desk.deals(login)
    assert len(deals) == len(single_deals)
    for deal, single in zip(deals, single_deals, strict=True):
        assert (batch.symbols[deal["symbol"]] if deal["symbol"] >= 0 else "") == single["symbol"]
        for name in _DEAL_NAMES:
            assert deal[name] == single[name], name


def _assert_equal_positions(desk: Desk, batch: ReadingBatch, place: int, login: int) -> None:
    positions = batch.positions[batch.positions["account"] == place]
    single_positions = desk.positions(login)
    assert len(positions) == len(single_positions) == batch.accounts["position_count"][place]
    for position, single in zip(positions, single_positions, strict=True):
        assert batch.symbols[position["symbol"]] == single["symbol"]
        for name in _POSITION_NAMES:
            assert position[name] == single[name], name


def _assert_equal_orders(desk: Desk, batch: ReadingBatch, place: int, login: int) -> None:
    orders = batch.orders[batch.orders["account"] == place]
    single_orders = desk.server.call("orders", login, None, None, None)
    assert len(orders) == len(single_orders) == batch.accounts["order_count"][place]
    for order, row in zip(orders, single_orders, strict=True):
        single = TradeOrder(row)
        assert batch.symbols[order["symbol"]] == single.symbol
        for name, single_name in _ORDER_NAMES.items():
            assert order[name] == getattr(single, single_name), name

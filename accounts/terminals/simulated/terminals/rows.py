"""Rows in the field order of MetaTrader 5's result tuples."""

from collections.abc import Mapping
from typing import Any

from .. import constants as mt5
from ..books.books import Books
from ..books.tables import Table
from ..prices.timeframes import Bars
from ..prices.trading_day import TradingDay
from ..state import AccountState
from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import CURRENCIES, CURRENCY_INDEX, Contract
from ..symbols.conversion import Conversion, pair_index
from ..symbols.depth import LEVELS, levels
from ..symbols.naming import Naming

Row = tuple[Any, ...]
COMPANY = "TradeGuard Simulated Markets"
TERMINAL_NAME = "TradeGuard Simulated Terminal"
BUILD = 5200
BUILD_DATE = "14 Nov 2026"
MAX_BARS = 100_000


def terminal_row(state: AccountState) -> Row:
    algo_trading = bool(state.account["algo_trading"][0])
    api_disabled = not state.account["python_api"][0]
    return (False, False, state.connected, False, algo_trading, api_disabled, False, False, False,
            False, BUILD, MAX_BARS, 0, 12_000, 0.0, 0.0, COMPANY, TERMINAL_NAME, "English",
            "", "", "")  # fmt: skip


def account_row(state: AccountState, books: Books) -> Row:
    account = {name: column[0] for name, column in state.account.items()}
    can_trade = bool(account["trade_allowed"]) and not account["investor"]
    return (
        int(account["login"]), int(account["trade_mode"]), int(account["leverage"]),
        int(account["order_limit"]), int(account["stop_out_mode"]), can_trade,
        bool(account["trade_expert"]), int(account["margin_mode"]),
        int(account["currency_digits"]), bool(account["fifo_close"]), float(account["balance"]),
        float(account["credit"]), float(account["profit"]), float(account["equity"]),
        float(account["margin"]), float(account["margin_free"]), float(account["margin_level"]),
        float(account["stop_out_call"]), float(account["stop_out_level"]), 0.0, 0.0, 0.0, 0.0, 0.0,
        str(account["name"]), books.servers[int(account["server"])],
        CURRENCIES[int(account["currency"])], COMPANY,
    )  # fmt: skip


def position_rows(state: AccountState) -> list[Row]:
    columns = {name: column.tolist() for name, column in state.positions.items()}
    return [
        (ticket, columns["time_msc"][i] // 1000, columns["time_msc"][i],
         columns["time_update_msc"][i] // 1000, columns["time_update_msc"][i], columns["type"][i],
         columns["magic"][i], columns["identifier"][i], columns["reason"][i], columns["volume"][i],
         columns["price_open"][i], columns["sl"][i], columns["tp"][i], columns["price_current"][i],
         columns["swap"][i], columns["profit"][i], state.naming.listed(columns["symbol"][i]),
         columns["comment"][i], "")
        for i, ticket in enumerate(columns["ticket"])
    ]  # fmt: skip


def deal_row(deals: Table, row: int, naming: Naming) -> Row:
    deal = deals.row(row)
    return (deal["ticket"], deal["order"], deal["time_msc"] // 1000, deal["time_msc"],
            deal["type"], deal["entry"], deal["magic"], deal["position"], deal["reason"],
            deal["volume"], deal["price"], deal["commission"], deal["swap"], deal["profit"],
            deal["fee"], naming.listed(deal["symbol"]), deal["comment"], "")  # fmt: skip


def order_rows(state: AccountState) -> list[Row]:
    """Return the orders that wait, oldest first."""
    columns = {name: column.tolist() for name, column in state.orders.items()}
    return [
        _order_row({name: column[i] for name, column in columns.items()}, state.naming)
        for i in range(len(columns["ticket"]))
    ]


def order_row(orders: Table, row: int, naming: Naming) -> Row:
    return _order_row(orders.row(row), naming)


def _order_row(order: Mapping[str, Any], naming: Naming) -> Row:
    return (order["ticket"], order["time_setup_msc"] // 1000, order["time_setup_msc"],
            order["time_done_msc"] // 1000, order["time_done_msc"], order["time_expiration"],
            order["type"], order["type_time"], order["filling"], order["state"], order["magic"],
            order["position"], order["position_by"], order["reason"], order["volume_initial"],
            order["volume_current"], order["price_open"], order["sl"], order["tp"],
            order["price_current"], order["price_stoplimit"], naming.listed(order["symbol"]),
            order["comment"], "")  # fmt: skip


def tick_row(state: AccountState, symbol: int, known: Bars) -> Row:
    """Return a Tick row; ``known`` is the last tick in the history, as an array of one or none."""
    time_msc = int(state.tick_msc[symbol])
    last, volume, lots, flags = 0.0, 0, 0.0, mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK
    if len(known):
        last, volume = float(known["last"][0]), int(known["volume"][0])
        lots, flags = float(known["volume_real"][0]), int(known["flags"][0])
    return (time_msc // 1000, float(state.bid[symbol]), float(state.ask[symbol]), last, volume,
            time_msc, flags, lots)  # fmt: skip


def book_rows(state: AccountState, symbol: int) -> list[Row]:
    """Return BookInfo rows, sells and then buys, from the highest price down."""
    bid, ask = float(state.bid[symbol]), float(state.ask[symbol])
    buys, sells = levels(CONTRACTS[symbol], bid, ask)
    return [
        (kind, price, int(lots), float(lots))
        for kind, side in ((mt5.BOOK_TYPE_SELL, sells[::-1]), (mt5.BOOK_TYPE_BUY, buys))
        for price, lots in side
    ]


def symbol_row(
    state: AccountState,
    symbol: int,
    conversion: Conversion,
    *,
    trade_mode: int,
    day: TradingDay,
    selected: bool,
) -> Row:
    """Return a SymbolInfo row as the account's terminal shows it."""
    contract, session = CONTRACTS[symbol], day.session
    bid, ask = float(state.bid[symbol]), float(state.ask[symbol])
    gain, loss = tick_values(contract, conversion, int(state.account["currency"][0]))
    return (
        False, contract.chart_mode, selected, selected, session.deals, session.buy_orders,
        session.sell_orders, int(day.last_volume), int(day.volume_range[0]),
        int(day.volume_range[1]), int(state.tick_msc[symbol]) // 1000, contract.digits,
        round((ask - bid) / contract.point), True, LEVELS if contract.depth_lots else 0,
        contract.calc_mode, trade_mode, 0, contract.expires_at, contract.stops_level,
        contract.freeze_level, contract.execution, contract.swap_mode,
        contract.swap_rollover3days, contract.margin_hedged_use_leg, contract.expiration_flags,
        contract.filling_flags, contract.order_flags, contract.gtc_mode, 0, 0,
        bid, *day.bid, ask, *day.ask, day.last, *day.last_range,
        day.last_volume, *day.volume_range, 0.0,
        contract.point, gain, gain, loss, contract.tick_size, contract.contract_size, 0.0, 0.0,
        0.0, contract.volume_min, contract.volume_max, contract.volume_step, contract.volume_limit,
        contract.swap_long, contract.swap_short, contract.margin_initial, 0.0,
        session.volume, session.turnover, 0.0, session.buy_orders_volume,
        session.sell_orders_volume, day.opened_at, day.closed_before_at, session.average_price,
        0.0, 0.0, 0.0, contract.margin_hedged, day.change_percent, 0.0, 0.0, 0.0, 0.0, 0.0,
        0.0, 0.0, 0.0, 0.0, "", "", contract.base, contract.quote, contract.margin_currency, "",
        contract.description, contract.exchange, "", contract.isin, state.naming.listed(symbol),
        "", state.naming.path(symbol),
    )  # fmt: skip


def tick_values(contract: Contract, conversion: Conversion, currency: int) -> tuple[float, float]:
    """Return what one tick of one lot is worth in an account's currency: gained, and lost."""
    tick = contract.unit_value * contract.tick_size
    pair = pair_index(CURRENCY_INDEX[contract.quote], currency)
    return float(tick * conversion.gain[pair]), float(tick * conversion.loss[pair])

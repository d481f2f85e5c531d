"""MetaTrader's numbers for kinds of accounts, orders and deals (ACCOUNT_*, ORDER_*, DEAL_*)."""

from collections.abc import Mapping
from enum import IntEnum

# A kind that MetaTrader adds one day.
OTHER = "other"


class TradeMode(IntEnum):
    DEMO = 0
    CONTEST = 1
    REAL = 2


class MarginMode(IntEnum):
    NETTING = 0
    EXCHANGE = 1
    HEDGING = 2


class StopOutMode(IntEnum):
    PERCENT = 0
    MONEY = 1


class OrderType(IntEnum):
    BUY = 0
    SELL = 1
    BUY_LIMIT = 2
    SELL_LIMIT = 3
    BUY_STOP = 4
    SELL_STOP = 5
    BUY_STOP_LIMIT = 6
    SELL_STOP_LIMIT = 7
    CLOSE_BY = 8


class DealType(IntEnum):
    BUY = 0
    SELL = 1
    BALANCE = 2
    CREDIT = 3
    CHARGE = 4
    CORRECTION = 5
    BONUS = 6
    COMMISSION = 7
    COMMISSION_DAILY = 8
    COMMISSION_MONTHLY = 9
    COMMISSION_AGENT_DAILY = 10
    COMMISSION_AGENT_MONTHLY = 11
    INTEREST = 12
    BUY_CANCELED = 13
    SELL_CANCELED = 14
    DIVIDEND = 15
    DIVIDEND_FRANKED = 16
    TAX = 17


class DealEntry(IntEnum):
    IN = 0
    OUT = 1
    INOUT = 2
    OUT_BY = 3


class DealReason(IntEnum):
    CLIENT = 0
    MOBILE = 1
    WEB = 2
    EXPERT = 3
    SL = 4
    TP = 5
    SO = 6
    ROLLOVER = 7
    VMARGIN = 8
    SPLIT = 9


def words(kind: type[IntEnum]) -> Mapping[int, str]:
    """Return what programs are told instead of each number: "buy_limit"."""
    return {each.value: each.name.lower() for each in kind}

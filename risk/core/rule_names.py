"""The names of rules, the units of their numbers and why numbers are missing."""

from risk.core.rule_types import RuleType
from risk.core.statuses import Reason

RULE_NAMES = {
    RuleType.MAX_DAILY_LOSS: "daily loss limit",
    RuleType.MAX_DRAWDOWN: "maximum loss",
    RuleType.MARGIN_LEVEL: "margin level limit",
    RuleType.MAX_POSITION_SIZE: "position size limit",
    RuleType.POSITION_LIMIT: "limit of open positions",
    RuleType.MAX_LEVERAGE: "leverage limit",
    RuleType.MAX_EXPOSURE: "exposure limit",
    RuleType.MAX_CORRELATION: "correlation limit",
    RuleType.RISK_PER_TRADE: "risk per trade",
    RuleType.STOP_LOSS_REQUIRED: "stop loss rule",
    RuleType.MAX_DAILY_TRADES: "limit of trades a day",
    RuleType.TRADING_WINDOW: "trading window",
    RuleType.NO_CROSS_HEDGING: "rule against opposite positions",
    RuleType.INACTIVITY: "inactivity limit",
    RuleType.PROFIT_TARGET: "profit target",
    RuleType.MIN_TRADING_DAYS: "minimum of trading days",
    RuleType.CONSISTENCY: "consistency target",
}

UNITS = {
    RuleType.MARGIN_LEVEL: "%",
    RuleType.MAX_POSITION_SIZE: "lots",
    RuleType.POSITION_LIMIT: "positions",
    RuleType.MAX_LEVERAGE: "x",
    RuleType.MAX_EXPOSURE: "x",
    RuleType.MAX_CORRELATION: "coefficient",
    RuleType.STOP_LOSS_REQUIRED: "minutes",
    RuleType.MAX_DAILY_TRADES: "trades",
    RuleType.TRADING_WINDOW: "minutes",
    RuleType.NO_CROSS_HEDGING: "symbols",
    RuleType.INACTIVITY: "days",
    RuleType.MIN_TRADING_DAYS: "days",
    RuleType.CONSISTENCY: "share",
}

REASONS = {
    Reason.NO_READING: "there is no fresh reading of the account",
    Reason.NO_INITIAL_BALANCE: "the account's initial balance is not set",
    Reason.NO_DAY_START: "where the account stood when its day began is not known",
    Reason.RESET_MISSED: (
        "the reset passed unseen and could not be worked out; known again from the next reset"
    ),
    Reason.NO_PEAK: "the highest balance or equity so far is not known",
    Reason.NO_VALUE: "the reading lacks a number that this rule needs",
    Reason.NO_LIMIT: "the amount that may be lost works out at nothing",
    Reason.NO_MARGIN: "there is no margin in use",
    Reason.NO_HISTORY: "the trades that this rule counts are not known yet",
    Reason.NO_CORRELATION: "a held symbol has fewer than 30 daily returns to compare",
    Reason.NO_CURRENCIES: "the currencies of a held symbol are not known",
    Reason.NO_CALENDAR: "no imported news calendar reaches over the present",
    Reason.NO_MOMENT: "the time of the evaluation is missing",
    Reason.NO_OWNER: "whose news calendar counts is not known",
    Reason.NO_MEMBER: "what another account of this rule holds is not known",
    Reason.NO_PROFIT: "there is no profit yet, so no day has a share of it",
    Reason.NOTHING_OPEN: "nothing is open",
    Reason.NONE: "a number is missing",
}

"""The rules that exist and the choices inside them, by the names that clients use."""

from enum import StrEnum
from typing import Final


class RuleType(StrEnum):
    MAX_DAILY_LOSS = "MAX_DAILY_LOSS"
    MAX_DRAWDOWN = "MAX_DRAWDOWN"
    MARGIN_LEVEL = "MARGIN_LEVEL"
    MAX_POSITION_SIZE = "MAX_POSITION_SIZE"
    POSITION_LIMIT = "POSITION_LIMIT"
    MAX_LEVERAGE = "MAX_LEVERAGE"
    MAX_EXPOSURE = "MAX_EXPOSURE"
    MAX_CORRELATION = "MAX_CORRELATION"
    RISK_PER_TRADE = "RISK_PER_TRADE"
    STOP_LOSS_REQUIRED = "STOP_LOSS_REQUIRED"
    MAX_DAILY_TRADES = "MAX_DAILY_TRADES"
    TRADING_WINDOW = "TRADING_WINDOW"
    NO_CROSS_HEDGING = "NO_CROSS_HEDGING"
    INACTIVITY = "INACTIVITY"
    PROFIT_TARGET = "PROFIT_TARGET"
    MIN_TRADING_DAYS = "MIN_TRADING_DAYS"
    CONSISTENCY = "CONSISTENCY"


LOSS_RULES: Final = frozenset({RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN})

# What is to be reached, not to be kept: shows progress, may alert, decides no status.
OBJECTIVES: Final = frozenset(
    {RuleType.PROFIT_TARGET, RuleType.MIN_TRADING_DAYS, RuleType.CONSISTENCY}
)

# What follows from the deals of an account, and must be remembered from tick to tick.
ACTIVITY_RULES: Final = OBJECTIVES | {RuleType.MAX_DAILY_TRADES, RuleType.INACTIVITY}

# Facts of the whole account, which no magic number can narrow.
WHOLE_ACCOUNT_RULES: Final = frozenset({RuleType.MARGIN_LEVEL, RuleType.NO_CROSS_HEDGING})


class Action(StrEnum):
    """What happens to the account when a rule is violated, from the mildest on."""

    ALERT = "ALERT"
    BLOCK = "BLOCK"
    REDUCE_SIZE = "REDUCE_SIZE"
    CLOSE_POSITION = "CLOSE_POSITION"
    CLOSE_ALL = "CLOSE_ALL"


# These send orders by themselves: they stay disarmed until a person has seen what they would do.
ARMED_ACTIONS: Final = frozenset({Action.REDUCE_SIZE, Action.CLOSE_POSITION, Action.CLOSE_ALL})

_ALERT_ONLY: Final = (Action.ALERT,)
_ALERT_OR_BLOCK: Final = (Action.ALERT, Action.BLOCK)
_WITHOUT_REDUCING: Final = (Action.ALERT, Action.BLOCK, Action.CLOSE_POSITION, Action.CLOSE_ALL)
_SPECIAL_ACTIONS: Final = {
    RuleType.STOP_LOSS_REQUIRED: _WITHOUT_REDUCING,
    RuleType.MAX_DAILY_TRADES: _WITHOUT_REDUCING,
    RuleType.TRADING_WINDOW: _WITHOUT_REDUCING,
    RuleType.NO_CROSS_HEDGING: _ALERT_OR_BLOCK,
    RuleType.INACTIVITY: _ALERT_ONLY,
    **dict.fromkeys(OBJECTIVES, _ALERT_ONLY),
}


def allowed_actions(rule_type: RuleType) -> tuple[Action, ...]:
    """Return what a rule of this type may do, from the mildest on.

    A loss of the whole account has no single offending position or size: which positions go first
    is then a matter of the rule's closing order.
    """
    return _SPECIAL_ACTIONS.get(rule_type, tuple(Action))


class AmountKind(StrEnum):
    """What the limit of a loss rule is counted in."""

    FRACTION_OF_INITIAL = "fraction_of_initial"
    FRACTION_OF_REFERENCE = "fraction_of_reference"
    MONEY = "money"


class Reference(StrEnum):
    """What a day's loss is measured from."""

    BALANCE = "balance"
    EQUITY = "equity"
    HIGHER = "higher_of_balance_and_equity"


class DrawdownKind(StrEnum):
    STATIC = "static"
    TRAILING_END_OF_DAY = "trailing_end_of_day"
    TRAILING_CLOSED_BALANCE = "trailing_closed_balance"
    TRAILING_INTRADAY_EQUITY = "trailing_intraday_equity"


class Lock(StrEnum):
    """Where a trailing floor stops rising."""

    NONE = "none"
    AT_INITIAL = "at_initial"
    AT_OFFSET = "at_offset"


class Comparison(StrEnum):
    """Whether reaching the limit exactly is allowed (`below`) or a violation."""

    BELOW = "below"
    AT_OR_BELOW = "at_or_below"


class ExposureOf(StrEnum):
    """What the exposure is added up by."""

    SYMBOL = "symbol"
    CURRENCY = "currency"


class WindowKind(StrEnum):
    """When an account must be flat."""

    DAILY = "daily"
    WEEKEND = "weekend"
    NEWS = "news"


class Importance(StrEnum):
    """How much an event in the news calendar moves prices, from the least on."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class ConsistencyBasis(StrEnum):
    """What the best day is compared with."""

    TOTAL_PROFIT = "total_profit"
    POSITIVE_DAYS = "positive_days"


class ClosingOrder(StrEnum):
    """Which of several positions an enforcement closes first."""

    LARGEST_LOSS_FIRST = "largest_loss_first"
    NEWEST_FIRST = "newest_first"
    OLDEST_FIRST = "oldest_first"

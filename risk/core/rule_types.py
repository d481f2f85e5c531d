"""The rules that exist and the choices inside them, by the names that clients use."""

from enum import StrEnum


class RuleType(StrEnum):
    MAX_DAILY_LOSS = "MAX_DAILY_LOSS"
    MAX_DRAWDOWN = "MAX_DRAWDOWN"
    MARGIN_LEVEL = "MARGIN_LEVEL"
    MAX_POSITION_SIZE = "MAX_POSITION_SIZE"
    POSITION_LIMIT = "POSITION_LIMIT"
    MAX_LEVERAGE = "MAX_LEVERAGE"


LOSS_RULES = frozenset({RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN})


class Action(StrEnum):
    """What happens to the account when a rule is violated, from the mildest on."""

    ALERT = "ALERT"
    BLOCK = "BLOCK"
    REDUCE_SIZE = "REDUCE_SIZE"
    CLOSE_POSITION = "CLOSE_POSITION"
    CLOSE_ALL = "CLOSE_ALL"


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

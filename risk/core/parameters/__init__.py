"""The parameters of each rule type, checked as they are read."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from risk.core.fields import FieldReader, ParameterErrors
from risk.core.parameters.base import (
    CommonFields,
    DayParameters,
    HeldParameters,
    RuleParameters,
    Thresholds,
)
from risk.core.parameters.conduct import (
    Inactivity,
    MaxDailyTrades,
    TradingWindow,
    read_daily_trades,
    read_inactivity,
    read_trading_window,
)
from risk.core.parameters.losses import (
    LossParameters,
    MaxDailyLoss,
    MaxDrawdown,
    read_daily_loss,
    read_drawdown,
)
from risk.core.parameters.objectives import (
    Consistency,
    MinTradingDays,
    Objective,
    ProfitTarget,
    read_consistency,
    read_profit_target,
    read_trading_days,
)
from risk.core.parameters.positions import (
    MarginLevel,
    MaxCorrelation,
    MaxExposure,
    MaxLeverage,
    MaxPositionSize,
    NoCrossHedging,
    PositionLimit,
    RiskPerTrade,
    StopLossRequired,
    read_correlation,
    read_cross_hedging,
    read_exposure,
    read_leverage,
    read_margin_level,
    read_position_limit,
    read_position_size,
    read_risk_per_trade,
    read_stop_loss_required,
)
from risk.core.rule_types import WHOLE_ACCOUNT_RULES, RuleType

__all__ = [
    "Consistency",
    "DayParameters",
    "HeldParameters",
    "Inactivity",
    "LossParameters",
    "MarginLevel",
    "MaxCorrelation",
    "MaxDailyLoss",
    "MaxDailyTrades",
    "MaxDrawdown",
    "MaxExposure",
    "MaxLeverage",
    "MaxPositionSize",
    "MinTradingDays",
    "NoCrossHedging",
    "Objective",
    "ParameterErrors",
    "PositionLimit",
    "ProfitTarget",
    "RiskPerTrade",
    "RuleParameters",
    "StopLossRequired",
    "Thresholds",
    "TradingWindow",
    "parse_parameters",
]

_READERS: Final[Mapping[RuleType, Callable[[FieldReader, CommonFields], RuleParameters]]] = {
    RuleType.MAX_DAILY_LOSS: read_daily_loss,
    RuleType.MAX_DRAWDOWN: read_drawdown,
    RuleType.MARGIN_LEVEL: read_margin_level,
    RuleType.MAX_POSITION_SIZE: read_position_size,
    RuleType.POSITION_LIMIT: read_position_limit,
    RuleType.MAX_LEVERAGE: read_leverage,
    RuleType.MAX_EXPOSURE: read_exposure,
    RuleType.MAX_CORRELATION: read_correlation,
    RuleType.RISK_PER_TRADE: read_risk_per_trade,
    RuleType.STOP_LOSS_REQUIRED: read_stop_loss_required,
    RuleType.MAX_DAILY_TRADES: read_daily_trades,
    RuleType.TRADING_WINDOW: read_trading_window,
    RuleType.NO_CROSS_HEDGING: read_cross_hedging,
    RuleType.INACTIVITY: read_inactivity,
    RuleType.PROFIT_TARGET: read_profit_target,
    RuleType.MIN_TRADING_DAYS: read_trading_days,
    RuleType.CONSISTENCY: read_consistency,
}


def parse_parameters(
    rule_type: RuleType, limit: Decimal, raw: Mapping[str, object]
) -> RuleParameters:
    """Read the parameters of a rule from its limit and the plain values that a client sent.

    `raw` may carry the thresholds as `caution` and `critical`, and the `magic` number of a
    strategy. Absent, None and "" mean the default. Raises ParameterErrors with one sentence for
    each wrong field.
    """
    fields = FieldReader(raw)
    common = CommonFields(
        limit=fields.positive_limit(limit),
        thresholds=_thresholds(fields),
        magic=fields.magic("magic"),
    )
    if common.magic is not None and rule_type in WHOLE_ACCOUNT_RULES:
        fields.reject("magic", "This rule is about the whole account, not about one strategy.")
    parameters = _READERS[rule_type](fields, common)
    fields.finish()
    return parameters


def _thresholds(fields: FieldReader) -> Thresholds:
    caution = fields.buffer_fraction("caution", Thresholds().caution)
    critical = fields.buffer_fraction("critical", Thresholds().critical)
    if critical > caution:
        fields.reject("critical", "Critical must not begin before caution does.")
    return Thresholds(caution, critical)

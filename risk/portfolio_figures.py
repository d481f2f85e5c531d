"""What is told of the risk of several accounts together."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from risk.portfolio_exposures import Exposure, SymbolCorrelations

Reasons = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioFigures:
    """What the accounts of one currency come to together; money in that currency.

    None is not known, or means nothing; `reasons` then says why, by the name of the figure.
    `cash` is what lies in the accounts without the floating results, `buying_power` what could
    still be opened with the free margin, `total_position_value` the notional of all positions.
    `leverage` is the sum of the net notional per account and symbol over the value, `margin_level`
    in percent. `value_at_risk` and `expected_shortfall` are losses of one day, in money.
    """

    currency: str
    accounts: int
    account_value: float | None
    balance: float | None
    cash: float | None
    buying_power: float | None
    total_position_value: float | None
    number_of_positions: int | None
    daily_pl: float | None
    daily_pl_percent: float | None
    total_unrealized_pl: float | None
    total_unrealized_pl_percent: float | None
    leverage: float | None
    margin_level: float | None
    max_drawdown_percent: float | None
    value_at_risk: float | None
    value_at_risk_percent: float | None
    expected_shortfall: float | None
    expected_shortfall_percent: float | None
    days: int
    exposure_by_symbol: tuple[Exposure, ...]
    exposure_by_currency: tuple[Exposure, ...] | None
    reasons: Reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCorrelations:
    """Coefficients of the daily returns of accounts; None where too few days are known of both.

    `reason` says why there are none at all.
    """

    account_ids: tuple[UUID, ...]
    names: tuple[str, ...]
    matrix: tuple[tuple[float | None, ...], ...]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioRisk:
    """The risk of some accounts.

    Nothing is converted: accounts in several currencies have figures for each, in `by_currency`,
    and `total` is None. `unknown_accounts` have no fresh reading, and are in no present figure.
    """

    at: datetime
    account_ids: tuple[UUID, ...]
    unknown_accounts: tuple[UUID, ...]
    total: PortfolioFigures | None
    by_currency: tuple[PortfolioFigures, ...]
    account_correlations: AccountCorrelations
    symbol_correlations: SymbolCorrelations
    reasons: Reasons

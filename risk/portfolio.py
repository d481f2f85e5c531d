"""The risk of one account, of some, or of a group taken together."""

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.hot_state import AccountState
from accounts.market_terms import WAIT_SECONDS
from accounts.models import ConnectedAccount, User
from accounts.selectors import last_states
from accounts.terminals.readings import STALE_AFTER_SECONDS
from risk.core.portfolio_risk import (
    FEWEST_DAYS,
    added_up,
    correlation_matrix,
    daily_returns,
    max_drawdown,
    tail_risk,
)
from risk.portfolio_days import AccountDays, DayResult, load_day_results, load_days
from risk.portfolio_exposures import (
    Held,
    currency_exposures,
    held_positions,
    symbol_correlations,
    symbol_exposures,
)
from risk.portfolio_figures import (
    AccountCorrelations,
    PortfolioFigures,
    PortfolioRisk,
    Reasons,
)


@dataclass(frozen=True, slots=True)
class _Known:
    """One account with what is known of it; `state` is None without a fresh reading."""

    account: ConnectedAccount
    state: AccountState | None
    days: AccountDays
    today: DayResult
    held: Held


def portfolio_risk(
    *, user: User, accounts: Sequence[ConnectedAccount], now: datetime
) -> PortfolioRisk:
    """Work out the risk of the user's accounts among these, from the hot state and the snapshots.

    Accounts of others are left out.
    """
    own = sorted(
        (account for account in accounts if account.user_id == user.pk),
        key=lambda account: (account.name, str(account.pk)),
    )
    known = _load(own, now)
    currencies = sorted({each.account.currency for each in known})
    figures = tuple(
        _figures(currency, [each for each in known if each.account.currency == currency])
        for currency in currencies
    )
    reasons: Reasons = {}
    if len(figures) > 1:
        listed = " and ".join(currencies)
        reasons["total"] = (
            f"The accounts are in {listed}, and nothing is converted: see each currency."
        )
    elif not figures:
        reasons["total"] = "There is no account."
    return PortfolioRisk(
        at=now,
        account_ids=tuple(account.pk for account in own),
        unknown_accounts=tuple(each.account.pk for each in known if each.state is None),
        total=figures[0] if len(figures) == 1 else None,
        by_currency=figures,
        account_correlations=_account_correlations(known),
        symbol_correlations=symbol_correlations([each.held for each in known]),
        reasons=reasons,
    )


def _load(accounts: Sequence[ConnectedAccount], now: datetime) -> list[_Known]:
    states = last_states(accounts)
    days = load_days(accounts, now)
    fresh = {
        account.pk: state
        for account in accounts
        if (state := states.get(account.pk)) is not None and _is_fresh(state, now)
    }
    today = load_day_results(accounts, fresh, now)
    # One wait for all accounts, however many hosts do not answer.
    deadline = time.monotonic() + WAIT_SECONDS
    return [
        _Known(
            account=account,
            state=fresh.get(account.pk),
            days=days[account.pk],
            today=today[account.pk],
            held=held_positions(
                account, fresh.get(account.pk), max(deadline - time.monotonic(), 0.0)
            ),
        )
        for account in accounts
    ]


def _is_fresh(state: AccountState, now: datetime) -> bool:
    read_at = float(state.account["read_at"])
    return not math.isnan(read_at) and now.timestamp() - read_at <= STALE_AFTER_SECONDS


# The pairs of more accounts than these would fill an answer with millions of numbers.
MOST_IN_MATRIX = 200
_PRESENT = (
    "account_value",
    "balance",
    "cash",
    "buying_power",
    "total_position_value",
    "number_of_positions",
    "total_unrealized_pl",
    "total_unrealized_pl_percent",
    "leverage",
    "margin_level",
    "daily_pl",
    "daily_pl_percent",
    "exposure_by_symbol",
    "exposure_by_currency",
)


def _figures(currency: str, known: Sequence[_Known]) -> PortfolioFigures:
    reasons: Reasons = {}
    unread = [each.account.name for each in known if each.state is None]
    if unread:
        text = f"There is no fresh reading of {', '.join(unread)}."
        reasons.update(dict.fromkeys(_PRESENT, text))
    present = [] if unread else [each.state for each in known if each.state is not None]
    sums = _sums(present) if present else None
    held = [each.held for each in known]
    daily_pl, daily_percent = _today(known, reasons)
    days = daily_returns(added_up([each.days.days for each in known]))
    returns = list(days.values())
    tail = tail_risk(returns)
    if tail is None:
        text = f"Only {len(returns)} full days are known, and it takes {FEWEST_DAYS}."
        for name in ("value_at_risk", "expected_shortfall"):
            reasons[name] = reasons[f"{name}_percent"] = text
    elif sums is None:
        reasons["value_at_risk"] = reasons["expected_shortfall"] = reasons["account_value"]
    drawdown = max_drawdown(returns)
    if drawdown is None:
        reasons["max_drawdown_percent"] = "No two full days are known yet."
    value = sums["equity"] if sums else None
    by_currency = None if unread else currency_exposures(held, value)
    if by_currency is None and not unread:
        reasons["exposure_by_currency"] = "The currencies of a held symbol are not known now."
    return PortfolioFigures(
        currency=currency,
        accounts=len(known),
        account_value=value,
        balance=sums["balance"] if sums else None,
        cash=sums["balance"] + sums["credit"] if sums else None,
        buying_power=sums["buying_power"] if sums else None,
        total_position_value=sum(each.gross for each in held) if sums else None,
        number_of_positions=sum(each.count for each in held) if sums else None,
        daily_pl=daily_pl,
        daily_pl_percent=daily_percent,
        total_unrealized_pl=sums["profit"] if sums else None,
        total_unrealized_pl_percent=(
            _percent(sums["profit"], sums["balance"], "total_unrealized_pl_percent", reasons)
            if sums
            else None
        ),
        leverage=_leverage(held, value, reasons) if sums else None,
        margin_level=_margin_level(sums, reasons) if sums else None,
        max_drawdown_percent=None if drawdown is None else drawdown * 100,
        value_at_risk=_money(tail.value_at_risk if tail else None, value),
        value_at_risk_percent=None if tail is None else tail.value_at_risk * 100,
        expected_shortfall=_money(tail.expected_shortfall if tail else None, value),
        expected_shortfall_percent=None if tail is None else tail.expected_shortfall * 100,
        days=len(returns),
        exposure_by_symbol=() if unread else tuple(symbol_exposures(held, value)),
        exposure_by_currency=by_currency,
        reasons=reasons,
    )


def _sums(states: Sequence[AccountState]) -> Mapping[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for state in states:
        for name in ("balance", "credit", "equity", "profit", "margin"):
            sums[name] += float(state.account[name])
        free = max(float(state.account["margin_free"]), 0.0)
        sums["buying_power"] += free * float(state.account["leverage"])
    return sums


def _today(known: Sequence[_Known], reasons: Reasons) -> tuple[float | None, float | None]:
    """Add up the results of the accounts' trading days, each of its own."""
    results = [each.today for each in known]
    lacking = next((result.reason for result in results if result.result is None), None)
    if lacking is not None:
        reasons.setdefault("daily_pl", lacking)
        reasons.setdefault("daily_pl_percent", lacking)
        return None, None
    result = sum(each.result or 0.0 for each in results)
    began_with = sum(each.began_with or 0.0 for each in results)
    return result, _percent(result, began_with, "daily_pl_percent", reasons)


def _percent(amount: float, of: float, name: str, reasons: Reasons) -> float | None:
    if of > 0:
        return amount / of * 100
    reasons[name] = "There was nothing that it could be a part of."
    return None


def _leverage(held: Sequence[Held], value: float | None, reasons: Reasons) -> float | None:
    if value is not None and value > 0:
        return sum(each.net for each in held) / value
    reasons["leverage"] = "The accounts are worth nothing."
    return None


def _margin_level(sums: Mapping[str, float], reasons: Reasons) -> float | None:
    if sums["margin"] > 0:
        return sums["equity"] / sums["margin"] * 100
    reasons["margin_level"] = "No margin is in use."
    return None


def _money(fraction: float | None, value: float | None) -> float | None:
    return None if fraction is None or value is None else fraction * value


def _account_correlations(known: Sequence[_Known]) -> AccountCorrelations:
    if len(known) > MOST_IN_MATRIX:
        reason = f"Of more than {MOST_IN_MATRIX} accounts no pairs are compared: choose some."
        return AccountCorrelations(account_ids=(), names=(), matrix=(), reason=reason)
    matrix = correlation_matrix([daily_returns(each.days.days) for each in known])
    return AccountCorrelations(
        account_ids=tuple(each.account.pk for each in known),
        names=tuple(each.account.name for each in known),
        matrix=tuple(tuple(row) for row in matrix),
    )

"""What the gate needs beside the reading where there is no host's tick to tell it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from accounts.hot_state import AccountState
from accounts.market_terms import SymbolDays, days_of
from accounts.models import ConnectedAccount
from accounts.symbol_terms import SymbolTerms
from risk.core.parameters import MaxCorrelation, MaxExposure, NoCrossHedging, TradingWindow
from risk.core.returns import correlations_of
from risk.core.rule_types import ExposureOf, Importance, RuleType, WindowKind
from risk.core.surroundings import Calendar, CalendarEvent, Surroundings
from risk.models import NewsCalendar, NewsEvent
from risk.rule_facts import RuleFacts


def web_surroundings(
    account: ConnectedAccount,
    rules: Sequence[RuleFacts],
    state: AccountState | None,
    draft_terms: SymbolTerms | None,
    now: datetime,
) -> Surroundings:
    """Load what the rules of one account look at.

    The holdings of other accounts are known on their hosts alone: a rule on them answers when the
    order is there.
    """
    symbols = _symbols(state, draft_terms)
    days = _days(account, symbols) if any(_looks_at_symbols(rule) for rule in rules) else {}
    currencies = {name: each.currencies for name, each in days.items()}
    if draft_terms is not None:
        currencies[draft_terms.name] = draft_terms.currency_base, draft_terms.currency_profit
    return Surroundings(
        moment=now.timestamp(),
        currencies={account.server: currencies},
        correlations={
            account.server: correlations_of({name: each.closes for name, each in days.items()})
        },
        users=np.array([account.user_id], dtype=np.int64),
        calendars=_calendars(account, rules),
        sides_elsewhere={
            number: None
            for number in range(len(rules))
            if rules[number].parameters.rule_type is RuleType.NO_CROSS_HEDGING
        },
    )


def _symbols(state: AccountState | None, draft_terms: SymbolTerms | None) -> set[str]:
    held = {draft_terms.name} if draft_terms is not None else set()
    if state is not None:
        numbers = np.unique(state.positions["symbol"]).tolist()
        held |= {state.tables.symbols[number] for number in numbers}
    return held


def _days(account: ConnectedAccount, symbols: set[str]) -> Mapping[str, SymbolDays]:
    return days_of(
        account.server,
        symbols,
        host=account.terminal_host_id,
        login=account.login,
        zone=account.broker_time_zone,
    )


def _looks_at_symbols(rule: RuleFacts) -> bool:
    """Tell whether a rule needs the currencies of symbols, or how they have moved."""
    parameters = rule.parameters
    if isinstance(parameters, MaxExposure):
        return parameters.exposure_of is ExposureOf.CURRENCY
    return isinstance(parameters, MaxCorrelation | NoCrossHedging)


def _calendars(account: ConnectedAccount, rules: Sequence[RuleFacts]) -> Mapping[int, Calendar]:
    if not any(
        isinstance(rule.parameters, TradingWindow) and rule.parameters.kind is WindowKind.NEWS
        for rule in rules
    ):
        return {}
    calendar = NewsCalendar.objects.filter(user=account.user_id).first()
    if calendar is None:
        return {}
    events = NewsEvent.objects.filter(user=account.user_id)
    return {
        account.user_id: Calendar(
            covers_from=calendar.covers_from_at.timestamp(),
            covers_until=calendar.covers_until_at.timestamp(),
            events=tuple(
                CalendarEvent(event.at.timestamp(), event.currency, Importance(event.importance))
                for event in events
            ),
        )
    }

"""What the gate needs beside the reading where there is no host's tick to tell it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from accounts.hot_state import AccountState
from accounts.models import ConnectedAccount
from accounts.symbol_terms import SymbolTerms
from risk.core.parameters import MaxExposure, TradingWindow
from risk.core.rule_types import ExposureOf, Importance, RuleType, WindowKind
from risk.core.surroundings import Calendar, CalendarEvent, Surroundings
from risk.gate.intents import TermsOf
from risk.models import NewsCalendar, NewsEvent
from risk.rule_facts import RuleFacts

_NEEDS_CURRENCIES = frozenset({RuleType.NO_CROSS_HEDGING})


def web_surroundings(
    account: ConnectedAccount,
    rules: Sequence[RuleFacts],
    state: AccountState | None,
    draft_terms: SymbolTerms | None,
    terms: TermsOf,
    now: datetime,
) -> Surroundings:
    """Load what the rules of one account look at; what only a host knows stays unknown.

    The correlations of symbols and the holdings of other accounts are the host's: a rule on them
    answers only when the order is there.
    """
    families = range(len(rules))
    return Surroundings(
        moment=now.timestamp(),
        currencies={account.server: _currencies(account, rules, state, draft_terms, terms)},
        users=np.array([account.user_id], dtype=np.int64),
        calendars=_calendars(account, rules),
        sides_elsewhere={
            number: None
            for number in families
            if rules[number].parameters.rule_type is RuleType.NO_CROSS_HEDGING
        },
    )


def _currencies(
    account: ConnectedAccount,
    rules: Sequence[RuleFacts],
    state: AccountState | None,
    draft_terms: SymbolTerms | None,
    terms: TermsOf,
) -> Mapping[str, tuple[str, str]]:
    known: dict[str, tuple[str, str]] = {}
    if draft_terms is not None:
        known[draft_terms.name] = draft_terms.currency_base, draft_terms.currency_profit
    if state is None or not any(_looks_at_currencies(rule) for rule in rules):
        return known
    for number in np.unique(state.positions["symbol"]).tolist():
        name = state.tables.symbols[number]
        told = None if name in known else terms(account.login, name)
        if told is not None:
            known[name] = told.currency_base, told.currency_profit
    return known


def _looks_at_currencies(rule: RuleFacts) -> bool:
    parameters = rule.parameters
    if isinstance(parameters, MaxExposure):
        return parameters.exposure_of is ExposureOf.CURRENCY
    return parameters.rule_type in _NEEDS_CURRENCIES


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

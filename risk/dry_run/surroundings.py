"""What a rule looks at beside the accounts: the calendar, and what the symbols are."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from accounts.market_terms import WAIT_SECONDS, SymbolDays, days_of
from accounts.models import ConnectedAccount, User
from risk.calendars import Calendars
from risk.core.parameters import (
    MaxCorrelation,
    MaxExposure,
    NoCrossHedging,
    RuleParameters,
    TradingWindow,
)
from risk.core.returns import correlations_of
from risk.core.rule_types import ExposureOf, WindowKind
from risk.core.surroundings import Correlations, Surroundings, SymbolCurrencies
from risk.dry_run.situation import Situation

Currencies = Mapping[str, SymbolCurrencies]
CorrelationsByServer = Mapping[str, Correlations]


def surroundings_of(
    user: User, parameters: RuleParameters, situation: Situation, now: datetime
) -> Surroundings:
    """Return the moment, the owner of the accounts and, for rules on news, the calendar."""
    calendars = Calendars()
    if isinstance(parameters, TradingWindow) and parameters.kind is WindowKind.NEWS:
        calendars.load([user.pk])
    return Surroundings(
        moment=now.timestamp(),
        users=np.full(len(situation.names), user.pk, dtype=np.int64),
        calendars=calendars.by_user,
        rule_families=np.zeros(1, dtype=np.int64),
    )


def market_facts(
    parameters: RuleParameters, accounts: Sequence[ConnectedAccount], situation: Situation
) -> tuple[Currencies, CorrelationsByServer]:
    """Ask the hosts what the held symbols are, where the rule looks at that.

    What no host tells within a second is left out, and not known to the rule.
    """
    if not _looks_at_symbols(parameters):
        return {}, {}
    deadline = time.monotonic() + WAIT_SECONDS
    days: dict[str, dict[str, SymbolDays]] = {}
    for number, account in enumerate(accounts):
        wanted = _held_symbols(situation, number) - days.get(account.server, {}).keys()
        if wanted:
            told = days_of(
                account.server,
                sorted(wanted),
                host=account.terminal_host_id,
                login=account.login,
                zone=account.broker_time_zone,
                wait_seconds=max(deadline - time.monotonic(), 0.0),
            )
            days.setdefault(account.server, {}).update(told)
    currencies = {
        server: {name: each.currencies for name, each in symbols.items()}
        for server, symbols in days.items()
    }
    correlations = {
        server: correlations_of({name: dict(each.closes) for name, each in symbols.items()})
        for server, symbols in days.items()
        if symbols
    }
    return currencies, correlations


def _looks_at_symbols(parameters: RuleParameters) -> bool:
    if isinstance(parameters, MaxExposure):
        return parameters.exposure_of is ExposureOf.CURRENCY
    if isinstance(parameters, TradingWindow):
        return parameters.kind is WindowKind.NEWS
    return isinstance(parameters, MaxCorrelation | NoCrossHedging)


def _held_symbols(situation: Situation, account: int) -> set[str]:
    batch = situation.batch
    numbers = {
        int(number)
        for rows in (batch.positions, batch.orders)
        for number in rows["symbol"][rows["account"] == account].tolist()
    }
    return {batch.symbols[number] for number in numbers}

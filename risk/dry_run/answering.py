"""A rule that is not saved, evaluated once by the core that evaluates saved ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from django.core.exceptions import ValidationError

from accounts.models import ConnectedAccount, User
from risk.core.account_columns import account_columns
from risk.core.baselines import advance_peaks, day_starts
from risk.core.evaluation import evaluate
from risk.core.exposures import exposures_of
from risk.core.pair_numbers import PairNumbers, pair_numbers
from risk.core.pairs import NO_CLOCK, PairTable, build_pairs
from risk.core.parameters import RuleParameters
from risk.core.rule_types import ARMED_ACTIONS, Action
from risk.core.sentences import risk_sentence, unit_of, unknown_sentence
from risk.core.states import PairState, new_state
from risk.core.statuses import Status
from risk.core.surroundings import Surroundings
from risk.core.triggers import build_triggers, triggered
from risk.dry_run.history import remembered_state
from risk.dry_run.imagined import GivenNumbers, imagined_situation, imagined_state
from risk.dry_run.situation import Situation, situation_of
from risk.dry_run.surroundings import market_facts, surroundings_of
from risk.models import RiskRule
from risk.rule_facts import RuleFacts, facts_of
from risk.services.rule_checks import check_rule

MOST_ACCOUNTS = 200
# Targets are not part of the question: it names the accounts itself.
_TARGETS = frozenset({"accounts", "groups", "applies_to_all_accounts"})
_ACTS = {
    Action.ALERT: "It would alert at once.",
    Action.BLOCK: "It would refuse new orders at once.",
    Action.REDUCE_SIZE: "Armed before, it would have reduced the size; armed now, it only blocks.",
    Action.CLOSE_POSITION: (
        "Armed before, it would have closed the offending positions; armed now, it only blocks."
    ),
    Action.CLOSE_ALL: (
        "Armed before, it would have closed everything and locked the account; armed now, it only"
        " blocks."
    ),
}


@dataclass(frozen=True, slots=True)
class RuleAnswer:
    """What a rule would say of one account; None is not known, and `sentence` says why.

    `unit` is that of used, limit, left and floor. `status` is one of safe, caution, critical,
    violated and unknown. `baselines` tells where the day's reference, a peak or a count comes from:
    "" where none is needed, else "recorded", "given" or "unknown". `would_act` says what the rule
    would do at once, "" for nothing.
    """

    account_id: UUID | None
    account_name: str
    status: str
    used: float | None
    limit: float | None
    left: float | None
    floor: float | None
    buffer: float | None
    unit: str
    sentence: str
    baselines: str
    would_act: str


def rule_answers(
    *,
    user: User,
    fields: Mapping[str, Any],
    accounts: Sequence[ConnectedAccount] = (),
    numbers: GivenNumbers | None = None,
    now: datetime,
) -> list[RuleAnswer]:
    """Evaluate a rule that is not saved against accounts as they are, or against given numbers.

    `fields` are those of create_rule; its targets play no part. With numbers, the first account
    lends its initial balance and its trading day. Nothing is written. Raises ValidationError with
    the fields named.
    """
    rule = _rule(user, fields)
    if any(account.user_id != user.pk for account in accounts):
        raise ValidationError({"account_ids": "not found"})
    if numbers is None and not accounts:
        raise ValidationError({"account_ids": "Name accounts, or give numbers."})
    if len(accounts) > MOST_ACCOUNTS:
        raise ValidationError({"account_ids": f"At most {MOST_ACCOUNTS} accounts are possible."})
    facts = facts_of(rule)
    if numbers is not None:
        lender = accounts[0] if accounts else None
        situation = imagined_situation(numbers, lender, now=now)
    else:
        situation = situation_of(accounts, now=now)
    return _Run(user, facts, accounts, numbers, situation, now).answers()


def _rule(user: User, fields: Mapping[str, Any]) -> RiskRule:
    rule = RiskRule(user=user, **{k: v for k, v in fields.items() if k not in _TARGETS})
    rule.name = rule.name or "This rule"
    check_rule(rule)
    return rule


class _Run:
    """One evaluation of one rule over the accounts of a situation."""

    def __init__(
        self,
        user: User,
        facts: RuleFacts,
        accounts: Sequence[ConnectedAccount],
        numbers: GivenNumbers | None,
        situation: Situation,
        now: datetime,
    ) -> None:
        self._user, self._facts, self._numbers = user, facts, numbers
        self._accounts, self._situation, self._now = accounts, situation, now
        count = len(situation.names)
        self._table = build_pairs(
            [facts.parameters],
            situation.terms,
            np.zeros(count, dtype=np.int64),
            np.arange(count, dtype=np.int64),
        )

    def answers(self) -> list[RuleAnswer]:
        table, batch = self._table, self._situation.batch
        columns = account_columns(batch, self._situation.accepted)
        state = self._state(columns)
        evaluation = evaluate(table, state, columns, exposures_of(batch), self._surroundings())
        acts = triggered(build_triggers(table, [self._facts.response]), evaluation)
        found: dict[int, RuleAnswer] = {}
        for pair in range(len(table)):
            numbers = pair_numbers(evaluation, state, pair, batch.symbols)
            account = int(table.account_index[pair])
            found[account] = self._answer(account, pair, state, numbers, bool(acts[pair]))
        return [found[account] for account in sorted(found)]

    def _state(self, columns: Any) -> PairState:
        table, moment = self._table, self._now.timestamp()
        state = new_state(len(table), moment)
        days = day_starts(table, moment)
        if self._numbers is None:
            return remembered_state(table, state, self._accounts, self._situation, columns, days)
        state = imagined_state(self._numbers, table, state, days, self._now)
        return advance_peaks(table, state, columns, self._situation.batch.deals)

    def _surroundings(self) -> Surroundings:
        around = surroundings_of(self._user, self._facts.parameters, self._situation, self._now)
        if self._numbers is not None:
            return around
        currencies, correlations = market_facts(
            self._facts.parameters, self._accounts, self._situation
        )
        return replace(around, currencies=currencies, correlations=correlations)

    def _answer(
        self, account: int, pair: int, state: PairState, numbers: PairNumbers, acts: bool
    ) -> RuleAnswer:
        money, name = self._situation.money[account], self._situation.names[account]
        parameters = self._facts.parameters
        action = Action(self._facts.action)
        begins = acts and (action in ARMED_ACTIONS or numbers.present is Status.VIOLATED)
        return RuleAnswer(
            account_id=self._situation.ids[account],
            account_name=name,
            status=numbers.present.text,
            used=numbers.used,
            limit=numbers.limit,
            left=numbers.left,
            floor=numbers.floor,
            buffer=numbers.buffer,
            unit=unit_of(parameters.rule_type, money.name),
            sentence=_sentence(name, parameters, numbers, money),
            baselines=self._baselines(pair, state),
            would_act=_ACTS[action] if begins else "",
        )

    def _baselines(self, pair: int, state: PairState) -> str:
        if not _remembers(self._table, pair):
            return ""
        is_known = not (np.isnan(state.day_started_at[pair]) and np.isnan(state.peak[pair]))
        if self._table.uses_balance[pair]:
            is_known = is_known and not np.isnan(state.day_balance[pair])
        if self._table.uses_equity[pair]:
            is_known = is_known and not np.isnan(state.day_equity[pair])
        if not is_known:
            return "unknown"
        return "recorded" if self._numbers is None else "given"


def _sentence(name: str, rule: RuleParameters, numbers: PairNumbers, money: Any) -> str:
    if numbers.present is Status.UNKNOWN:
        return f"{name}: {unknown_sentence(numbers.reason)}"
    return f"{risk_sentence(name, rule, numbers, money)}."


def _remembers(table: PairTable, pair: int) -> bool:
    trails = table.drawdown_kind[pair] > 0
    return bool(table.counted[pair] or trails or table.clock_index[pair] != NO_CLOCK)

"""Live risk for pages, API and sockets: names from the database, numbers from the hot state."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.db.models import prefetch_related_objects
from redis import RedisError

from accounts.facts import health_summary, notice_objects, order_objects, terminal_facts
from accounts.hot_state import AccountState, read_accounts, read_sequences
from accounts.models import ConnectedAccount, User
from accounts.models.connection import AccountConnection, ConnectionState
from accounts.selectors import connection_health
from groups.models import AccountGroup
from risk.core.parameters import ParameterErrors
from risk.live_objects import Json, Member, RuleView, account_object, group_object
from risk.models import RiskRule, RuleOverride
from risk.rule_facts import facts_of
from risk.selectors import latched_breaches, rules_by_account
from risk.services.cutoff import cutoff_terms_on

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GroupSummary:
    group: AccountGroup
    risk: Json

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


def group_risk(group: AccountGroup, *, now: datetime) -> Json:
    """Return the live risk of a group, whatever is the matter with the worker or Redis."""
    return group_risks([group], now=now)[0]


def group_risks(groups: Sequence[AccountGroup], *, now: datetime) -> list[Json]:
    """Return the live risk of several groups in one round trip and a constant number of queries."""
    prefetch_related_objects(groups, "accounts")
    accounts = {
        account.pk: account
        for group in groups
        for account in group.accounts.all()
        if account.is_active
    }
    members = load_members(list(accounts.values()), now=now)
    sequences = _sequences("group", [group.pk for group in groups])
    return [
        group_object(
            group.pk,
            group.name,
            [members[account.pk] for account in group.accounts.all() if account.pk in members],
            sequence=sequences.get(group.pk, 0),
        )
        for group in groups
    ]


def account_risk(account: ConnectedAccount, *, now: datetime) -> Json:
    """Return the live state of one account, its positions and rules."""
    member = load_members([account], now=now)[account.pk]
    sequence = _sequences("account", [account.pk]).get(account.pk, 0)
    return account_object(member, sequence=sequence)


def account_status(account: ConnectedAccount, *, now: datetime) -> Json:
    """Return the state of an account's connection and terminal, and what it holds."""
    member = load_members([account], now=now)[account.pk]
    state = member.state if member.reading is not None else None
    health = connection_health(account, state, now=now)
    cut_off_percent = float(cutoff_terms_on(account).liquidation_level)
    return {
        **account_object(member, sequence=0),
        "terminal": terminal_facts(account, state) if state is not None else None,
        "notices": notice_objects(account, state, now=now, cut_off_percent=cut_off_percent),
        "orders": order_objects(state) if state is not None else None,
        "health": health_summary(health, state),
    }


def account_risks(accounts: Sequence[ConnectedAccount], *, now: datetime) -> list[Json]:
    """Return the live state of several accounts, in their order."""
    members = load_members(accounts, now=now)
    sequences = _sequences("account", [account.pk for account in accounts])
    return [
        account_object(members[account.pk], sequence=sequences.get(account.pk, 0))
        for account in accounts
    ]


def group_summaries(user: User, *, now: datetime) -> list[GroupSummary]:
    """Return the user's groups with their live risk, by name."""
    groups = list(AccountGroup.objects.owned_by(user))
    risks = group_risks(groups, now=now)
    return [GroupSummary(group, risk) for group, risk in zip(groups, risks, strict=True)]


agroup_risk = database_sync_to_async(group_risk)
aaccount_risk = database_sync_to_async(account_risk)


def load_members(accounts: Sequence[ConnectedAccount], *, now: datetime) -> dict[UUID, Member]:
    """Put accounts, connections, rules and the last states together, keyed by account."""
    states = _states(accounts)
    views = _rule_views(rules_by_account(accounts))
    latches: dict[UUID, dict[UUID, bool]] = {}
    for breach in latched_breaches(accounts):
        if breach.is_early and breach.violated_at is None:
            continue  # it has not reached its limit
        is_acknowledged = breach.acknowledged_at is not None
        latches.setdefault(breach.account_id, {})[breach.rule_id] = is_acknowledged
    connections = AccountConnection.objects.in_bulk([account.pk for account in accounts])
    members = {}
    for account in accounts:
        listed = sorted(views[account.pk], key=attrgetter("order"))
        state = states.get(account.pk)
        members[account.pk] = Member(
            account_id=account.pk,
            name=account.name,
            currency=account.currency,
            connection=connection_object(connections.get(account.pk)),
            rules=listed,
            raws=_raws(state, listed),
            state=state,
            now=now.timestamp(),
            latches=latches.get(account.pk),
        )
    return members


def _raws(state: AccountState | None, rules: Sequence[RuleView]) -> list[tuple[Any, ...] | None]:
    """Find the packed row of each rule, None for one that no tick has evaluated yet."""
    if state is None:
        return [None] * len(rules)
    stored = {state.tables.rules[raw[0]]: raw for raw in state.rules.tolist()}
    return [stored.get(rule.key) for rule in rules]


def connection_object(connection: AccountConnection | None) -> Json:
    if connection is None:
        return {
            "state": ConnectionState.DISCONNECTED.value,
            "since": None,
            "reason": "",
            "message": "",
            "retries": 0,
        }
    return {
        "state": connection.state,
        "since": connection.since.isoformat().replace("+00:00", "Z"),
        "reason": connection.reason,
        "message": connection.last_error,
        "retries": connection.retries,
    }


def rule_view(rule: RiskRule, override: RuleOverride | None = None) -> RuleView:
    """Return a rule as it is shown, on an account with this override."""
    try:
        facts = facts_of(rule, override)
    except (ParameterErrors, ValueError):
        if override is None:
            raise
        # The tick leaves the rule as it is on others, too.
        facts = facts_of(rule)
    return RuleView(rule.pk, rule.name, facts.action, rule.is_firm_rule, facts.parameters)


def _rule_views(rules: Mapping[UUID, Sequence[RiskRule]]) -> dict[UUID, list[RuleView]]:
    """Return the rules of each account as they are there, without those that leave it out."""
    rows = RuleOverride.objects.filter(account__in=list(rules))
    overrides = {(row.rule_id, row.account_id): row for row in rows}
    shared: dict[UUID, RuleView] = {}
    views: dict[UUID, list[RuleView]] = {account_id: [] for account_id in rules}
    for account_id, listed in rules.items():
        for rule in listed:
            override = overrides.get((rule.pk, account_id))
            if override is not None:
                if not override.is_excluded:
                    views[account_id].append(rule_view(rule, override))
                continue
            if rule.pk not in shared:
                shared[rule.pk] = rule_view(rule)
            views[account_id].append(shared[rule.pk])
    return views


def _states(accounts: Iterable[ConnectedAccount]) -> dict[UUID, AccountState]:
    ids: dict[str, list[UUID]] = {}
    for account in accounts:
        ids.setdefault(account.terminal_host_id, []).append(account.pk)
    try:
        return read_accounts(ids)
    except RedisError as error:
        logger.warning("The hot state can't be read, so every account is unknown: %s", error)
        return {}


def _sequences(kind: str, ids: Sequence[UUID]) -> dict[UUID, int]:
    try:
        return read_sequences(kind, ids)
    except RedisError:
        return {}

"""The desk of a host: its accounts, the rules on them and their groups, laid out for the tick.

Loaded when something changed, which a cheap fingerprint tells; no signal has to be sent by whoever
edits a rule, in whichever way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection
from django.db.models import Model

from accounts.models import ConnectedAccount
from groups.models import AccountGroup, Membership
from risk.armings import Armings, load_armings
from risk.core.arrays import Integers
from risk.core.pairs import AccountTerms, Clock, PairTable, build_pairs
from risk.core.triggers import Triggers, build_triggers
from risk.models import NewsCalendar, RiskRule, RuleArming, RuleOverride
from risk.rule_facts import RuleBook, RuleFacts, load_rules, parameters_of

__all__ = [
    "AccountFacts",
    "Desk",
    "Fingerprint",
    "GroupFacts",
    "RuleFacts",
    "desk_fingerprint",
    "load_desk",
    "parameters_of",
]

Fingerprint = tuple[Any, ...]
_NO_TERMS = AccountTerms(float("nan"), "UTC", Clock(time(0, 0), "UTC"))


@dataclass(frozen=True, slots=True)
class AccountFacts:
    id: UUID
    user_id: int
    name: str
    currency: str
    portfolio_role: str
    server: str
    login: int
    terms: AccountTerms


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group with all its members, also those on other hosts (`remote`)."""

    id: UUID
    user_id: int
    name: str
    members: tuple[UUID, ...]
    remote: Mapping[str, tuple[UUID, ...]]


@dataclass(frozen=True, slots=True)
class Desk:
    """Accounts in the order of the sessions; a row number is an account's index everywhere.

    A session whose account was deleted a moment ago has None for facts and no rules. `rules` may
    hold a rule several times, as it is on different accounts. `pairs` is the table of (rule,
    account), and `armings` says which of them may act. `group_of` and `account_of` list the
    memberships of this host's accounts as (index into groups, index into accounts).
    """

    fingerprint: Fingerprint
    accounts: tuple[AccountFacts | None, ...]
    rules: tuple[RuleFacts, ...]
    groups: tuple[GroupFacts, ...]
    pairs: PairTable
    triggers: Triggers
    armings: Armings
    group_of: Integers
    account_of: Integers
    account_index: Mapping[UUID, int]
    group_index: Mapping[UUID, int]

    def pair_keys(self) -> list[tuple[UUID, UUID]]:
        """Name each pair of the table: (rule, account). A pair exists only where both do."""
        rules = [rule.id for rule in self.rules]
        accounts = {row: account_id for account_id, row in self.account_index.items()}
        numbers = zip(
            self.pairs.rule_index.tolist(), self.pairs.account_index.tolist(), strict=True
        )
        return [(rules[rule], accounts[row]) for rule, row in numbers]


# What a desk is made of: what is counted, and the columns whose greatest value tells of changes.
_PARTS: tuple[tuple[type[Model], str, tuple[str, ...]], ...] = (
    (ConnectedAccount, "WHERE is_active", ("updated_at",)),
    (RiskRule, "WHERE is_active", ("updated_at",)),
    (AccountGroup, "", ("updated_at",)),
    (Membership, "", ("id",)),
    (RiskRule.accounts.through, "", ("id",)),
    (RiskRule.groups.through, "", ("id",)),
    (RuleOverride, "", ("id", "updated_at")),
    (RuleArming, "", ("id", "armed_at")),
    (NewsCalendar, "", ("imported_at",)),
)


def desk_fingerprint() -> Fingerprint:
    """Return something that differs whenever a desk may have changed.

    Counts see what is gone, the newest change sees what was edited, the highest id of the link
    tables sees one link replaced by another. The accounts of all hosts count: groups reach across.
    """
    with connection.cursor() as cursor:
        cursor.execute(_fingerprint_statement())
        return tuple(cursor.fetchone())


@cache
def _fingerprint_statement() -> str:
    """Word the question in one statement: a tick asks it, and nine would take it milliseconds."""
    quoted = connection.ops.quote_name
    parts = []
    for place, (model, condition, columns) in enumerate(_PARTS):
        newest = "".join(f", MAX({quoted(column)})" for column in columns)
        table = quoted(model._meta.db_table)
        parts.append(f"(SELECT COUNT(*){newest} FROM {table} {condition}) AS part_{place}")  # noqa: S608
    return "SELECT * FROM " + " CROSS JOIN ".join(parts)  # noqa: S608


def load_desk(account_ids: Sequence[UUID], fingerprint: Fingerprint) -> Desk:
    """Read the desk of these accounts, in this order, in a constant number of queries."""
    known = _load_accounts(account_ids)
    accounts = tuple(known.get(account_id) for account_id in account_ids)
    index = {account.id: number for number, account in enumerate(accounts) if account}
    users = {account.user_id for account in known.values()}
    members = _load_members(users)
    book = load_rules(users)
    rule_index, account_index = _targets(book, accounts, index, members)
    groups, group_of, account_of = _load_groups(members, index)
    pairs = build_pairs(
        [rule.parameters for rule in book.rules],
        [account.terms if account else _NO_TERMS for account in accounts],
        rule_index,
        account_index,
    )
    return Desk(
        fingerprint=fingerprint,
        accounts=accounts,
        rules=book.rules,
        groups=groups,
        pairs=pairs,
        triggers=build_triggers(pairs, [rule.response for rule in book.rules]),
        armings=load_armings(pairs, [rule.id for rule in book.rules], account_ids, users),
        group_of=group_of,
        account_of=account_of,
        account_index=index,
        group_index={group.id: number for number, group in enumerate(groups)},
    )


def _load_accounts(account_ids: Sequence[UUID]) -> dict[UUID, AccountFacts]:
    # A thousand ids at a time: SQLite bounds the number of variables in a query.
    return {
        row.id: AccountFacts(
            id=row.id,
            user_id=row.user_id,
            name=row.name,
            currency=row.currency,
            portfolio_role=row.portfolio_role,
            server=row.server,
            login=row.login,
            terms=AccountTerms(
                initial_balance=float(row.initial_balance),
                broker_zone=row.broker_time_zone,
                trading_day=Clock(row.day_reset_time, row.day_reset_zone),
            ),
        )
        for batch in _batches(account_ids)
        for row in ConnectedAccount.objects.filter(pk__in=batch)
    }


def _batches(ids: Sequence[UUID], size: int = 1000) -> Iterator[Sequence[UUID]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


MemberRow = tuple[UUID, str, int, UUID, str]


def _load_members(users: Iterable[int]) -> list[MemberRow]:
    """Return (group, its name, its user, account, the account's host) in a stable order."""
    return list(
        Membership.objects.filter(group__user__in=users, account__is_active=True)
        .order_by("group__name", "group_id", "account__name", "account_id")
        .values_list(
            "group_id", "group__name", "group__user_id", "account_id", "account__terminal_host_id"
        )
    )


def _targets(
    book: RuleBook,
    accounts: Sequence[AccountFacts | None],
    index: Mapping[UUID, int],
    members: Sequence[MemberRow],
) -> tuple[Integers, Integers]:
    """List the pairs of rules and accounts, each once, whatever way a rule reaches an account."""
    number = book.places
    owners = [account.user_id if account else None for account in accounts]
    reached = {
        (place, row)
        for place, row in (
            *_everywhere(book, owners),
            *((number.get(rule_id), index.get(account_id)) for rule_id, account_id in _named()),
            *((number.get(rule_id), row) for rule_id, row in _through_groups(members, index)),
        )
        # A rule reaches its user's own accounts only, whatever the link tables say.
        if place is not None and row is not None and owners[row] == book.rules[place].user_id
    }
    if book.excluded or book.variants:
        ids = {row: account_id for account_id, row in index.items()}
        reached = {
            (own, row)
            for place, row in reached
            if (own := book.place_for(place, ids[row])) is not None
        }
    listed = np.array(sorted(reached), dtype=np.int64).reshape(-1, 2)
    return listed[:, 0], listed[:, 1]


def _everywhere(book: RuleBook, owners: Sequence[int | None]) -> Iterator[tuple[int, int]]:
    rows_of: dict[int | None, list[int]] = {}
    for row, owner in enumerate(owners):
        rows_of.setdefault(owner, []).append(row)
    for place in book.places.values():
        rule = book.rules[place]
        if rule.applies_to_all_accounts:
            yield from ((place, row) for row in rows_of.get(rule.user_id, ()))


def _named() -> Iterable[tuple[UUID, UUID]]:
    named = RiskRule.objects.active().filter(accounts__isnull=False)
    return named.values_list("pk", "accounts")


def _through_groups(
    members: Sequence[MemberRow], index: Mapping[UUID, int]
) -> Iterator[tuple[UUID, int]]:
    rows_of: dict[UUID, list[int]] = {}
    for group_id, _, _, account_id, _ in members:
        if account_id in index:
            rows_of.setdefault(group_id, []).append(index[account_id])
    grouped = RiskRule.objects.active().filter(groups__isnull=False)
    for rule_id, group_id in grouped.values_list("pk", "groups"):
        yield from ((rule_id, row) for row in rows_of.get(group_id, ()))


def _load_groups(
    members: Sequence[MemberRow], index: Mapping[UUID, int]
) -> tuple[tuple[GroupFacts, ...], Integers, Integers]:
    names: dict[UUID, tuple[str, int]] = {}
    accounts: dict[UUID, list[UUID]] = {}
    remote: dict[UUID, dict[str, list[UUID]]] = {}
    for group_id, name, user_id, account_id, host in members:
        names[group_id] = (name, user_id)
        accounts.setdefault(group_id, []).append(account_id)
        if account_id not in index:
            remote.setdefault(group_id, {}).setdefault(host, []).append(account_id)
    here = [group_id for group_id in names if any(one in index for one in accounts[group_id])]
    groups = tuple(
        GroupFacts(
            id=group_id,
            user_id=names[group_id][1],
            name=names[group_id][0],
            members=tuple(accounts[group_id]),
            remote={host: tuple(ids) for host, ids in remote.get(group_id, {}).items()},
        )
        for group_id in here
    )
    links = [
        (place, index[account_id])
        for place, group in enumerate(groups)
        for account_id in group.members
        if account_id in index
    ]
    listed = np.array(links, dtype=np.int64).reshape(-1, 2)
    return groups, listed[:, 0], listed[:, 1]

"""The weakest account of each group, by rule and overall."""

from dataclasses import dataclass, field

import numpy as np

from risk.core.account_columns import AccountColumns
from risk.core.arrays import Codes, Flags, Floats, Integers
from risk.core.evaluation import Evaluation
from risk.core.pairs import PairTable
from risk.core.rule_types import OBJECTIVES
from risk.core.statuses import Status

# Beyond any buffer, yet before everything of a milder status.
_LAST = np.finfo(np.float64).max


@dataclass(frozen=True, slots=True)
class GroupRows:
    """The members of the groups and the pairs below them, sorted once for many ticks."""

    groups: int
    table: PairTable
    segment_group: Integers  # one element per (group, rule) that has a pair
    segment_rule: Integers
    member_group: Integers  # one element per membership, by group, then by account
    member_account: Integers
    _pairs: Integers = field(repr=False)
    _segment_starts: Integers = field(repr=False)
    _member_starts: Integers = field(repr=False)
    _decisive: Integers = field(repr=False)  # the pairs that decide their account's status
    _account_starts: Integers = field(repr=False)
    _filled_groups: Integers = field(repr=False)

    def members(self, group: int) -> Integers:
        """Return the accounts of a group, in the order of accounts."""
        first, last = np.searchsorted(self.member_group, [group, group + 1])
        return self.member_account[first:last]

    def segments(self, group: int) -> slice:
        """Return the place of a group's rules in the `segment_*` and `rule_*` columns."""
        first, last = np.searchsorted(self.segment_group, [group, group + 1])
        return slice(int(first), int(last))


@dataclass(frozen=True, slots=True)
class GroupRisk:
    """Statuses, buffers (NaN is not known) and who is the weakest; -1 stands for nobody.

    `account_*` has one element per account, `group_*` per group, `rule_*` per segment of
    GroupRows. `*_pair` is the weakest pair; its account is `table.account_index[pair]`.
    """

    account_status: Codes
    account_buffer: Floats
    account_pair: Integers
    account_unknown: Flags  # not read, or weakest in something that is not known
    group_status: Codes
    group_buffer: Floats
    group_account: Integers
    rule_status: Codes
    rule_buffer: Floats
    rule_pair: Integers

    def unknown_accounts(self, rows: GroupRows, group: int) -> Integers:
        """Return the members of a group of which something decisive is not known."""
        members = rows.members(group)
        return members[self.account_unknown[members]]


def build_group_rows(
    table: PairTable, groups: int, member_group: Integers, member_account: Integers
) -> GroupRows:
    """Sort memberships (one group and account each) and pairs; again when either changes."""
    order = np.lexsort((member_account, member_group))
    member_group = np.asarray(member_group, dtype=np.int64)[order]
    member_account = np.asarray(member_account, dtype=np.int64)[order]
    first = table.account_starts[member_account]
    counts = table.account_starts[member_account + 1] - first
    before = np.repeat(np.cumsum(counts) - counts, counts)
    places = np.arange(int(counts.sum())) - before + np.repeat(first, counts)
    pairs = table.pairs_by_account[places]
    group = np.repeat(member_group, counts)
    rule = table.rule_index[pairs]
    order = np.lexsort((table.account_index[pairs], rule, group))
    pairs, group, rule = pairs[order], group[order], rule[order]
    starts = _starts(group * (len(table.rules) + 1) + rule)
    member_starts = _starts(member_group)
    decisive = _decisive_pairs(table)
    return GroupRows(
        groups=groups,
        table=table,
        segment_group=group[starts],
        segment_rule=rule[starts],
        member_group=member_group,
        member_account=member_account,
        _pairs=pairs,
        _segment_starts=starts,
        _member_starts=member_starts,
        _decisive=decisive,
        _account_starts=_starts(table.account_index[decisive]),
        _filled_groups=member_group[member_starts],
    )


def group_risk(rows: GroupRows, evaluation: Evaluation, accounts: AccountColumns) -> GroupRisk:
    """Find the weakest: the worst status, then the lower buffer, then the first account.

    Within a status a buffer that is not known comes last. Objectives show their own progress in
    `rule_*` and decide nothing else. An account without rules is safe as long as it is read; a
    group without members is safe.
    """
    table = rows.table
    status, buffer = evaluation.status, evaluation.buffer
    account_status = np.where(accounts.known, np.int8(Status.SAFE), np.int8(Status.UNKNOWN))
    account_buffer = np.full(table.accounts, np.nan)
    account_pair = np.full(table.accounts, -1, dtype=np.int64)
    pairs = rows._decisive
    weakest = pairs[_weakest(status[pairs], buffer[pairs], rows._account_starts)]
    owners = table.account_index[weakest]
    account_status[owners] = status[weakest]
    account_buffer[owners] = buffer[weakest]
    account_pair[owners] = weakest

    group_status = np.zeros(rows.groups, dtype=np.int8)
    group_buffer = np.full(rows.groups, np.nan)
    group_account = np.full(rows.groups, -1, dtype=np.int64)
    members = rows.member_account
    weakest = members[
        _weakest(account_status[members], account_buffer[members], rows._member_starts)
    ]
    group_status[rows._filled_groups] = account_status[weakest]
    group_buffer[rows._filled_groups] = account_buffer[weakest]
    group_account[rows._filled_groups] = weakest

    pairs = rows._pairs
    rule_pair = pairs[_weakest(status[pairs], buffer[pairs], rows._segment_starts)]
    return GroupRisk(
        account_status=account_status,
        account_buffer=account_buffer,
        account_pair=account_pair,
        account_unknown=~accounts.known | (account_status == Status.UNKNOWN),
        group_status=group_status,
        group_buffer=group_buffer,
        group_account=group_account,
        rule_status=status[rule_pair],
        rule_buffer=buffer[rule_pair],
        rule_pair=rule_pair,
    )


def _decisive_pairs(table: PairTable) -> Integers:
    """Return the pairs by account, those of objectives left out."""
    decides = np.ones(len(table), dtype=np.bool_)
    for rule_type in OBJECTIVES:
        decides[table.slice_of(rule_type)] = False
    return table.pairs_by_account[decides[table.pairs_by_account]]


def _starts(keys: Integers) -> Integers:
    """Return where runs of equal keys begin."""
    if not len(keys):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]).astype(np.int64, copy=False)


def _weakest(status: Codes, buffer: Floats, starts: Integers) -> Integers:
    """Return the row of the weakest in each run of rows; of equals the first."""
    if not len(starts):
        return np.empty(0, dtype=np.int64)
    lengths = np.diff(np.r_[starts, len(status)])
    worst = np.repeat(np.maximum.reduceat(status, starts), lengths)
    known = np.where(np.isnan(buffer), _LAST, buffer)
    weakness = np.where(status == worst, known, np.inf)
    lowest = np.repeat(np.minimum.reduceat(weakness, starts), lengths)
    weakest = np.flatnonzero(weakness == lowest).astype(np.int64, copy=False)
    return weakest[np.searchsorted(weakest, starts)]

"""The weakest account of a group."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.core.account_columns import AccountColumns
from risk.core.arrays import Flags
from risk.core.evaluation import Evaluation
from risk.core.group_risk import GroupRisk, GroupRows, build_group_rows, group_risk
from risk.core.pairs import PairTable, build_pairs
from risk.core.rule_types import RuleType
from risk.core.statuses import Status
from risk.tests.core_cases import batch, columns, evaluated, rule, state_of, terms

COUNT = RuleType.POSITION_LIMIT
SAFE, CAUTION, UNKNOWN = Status.SAFE, Status.CAUTION, Status.UNKNOWN
CRITICAL, VIOLATED = Status.CRITICAL, Status.VIOLATED


def judged(
    pairs: list[tuple[int, int]],
    judgements: list[tuple[Status, float]],
    members: list[tuple[int, int]],
    *,
    groups: int = 1,
    accounts: int = 3,
    known: list[bool] | None = None,
) -> tuple[GroupRows, GroupRisk]:
    """Evaluate (rule, account) pairs with given statuses and buffers in groups of members."""
    rules = [rule(COUNT, "5") for _ in range(1 + max((pair[0] for pair in pairs), default=0))]
    flat = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    table = build_pairs(rules, [terms()] * accounts, flat[:, 0], flat[:, 1])
    known_accounts, result = neutral(table, accounts, known or [True] * accounts)
    statuses = np.array([judgement[0] for judgement in judgements], dtype=np.int8)
    buffers = np.array([judgement[1] for judgement in judgements], dtype=np.float64)
    result = replace(result, status=statuses[table.source], buffer=buffers[table.source])
    joined = np.array(members, dtype=np.int64).reshape(-1, 2)
    rows = build_group_rows(table, groups, joined[:, 0], joined[:, 1])
    return rows, group_risk(rows, result, known_accounts)


def neutral(
    table: PairTable, accounts: int, known: list[bool]
) -> tuple[AccountColumns, Evaluation]:
    reading = batch([{"balance": 1.0}] * accounts)
    accepted: Flags = np.array(known, dtype=np.bool_)
    return columns(reading, list(accepted)), evaluated(table, state_of(table), reading)


@pytest.mark.parametrize(
    ("judgements", "weakest"),
    [
        ([(SAFE, 0.5), (SAFE, 0.4), (SAFE, 0.6)], 1),
        ([(SAFE, 0.4), (SAFE, 0.4), (SAFE, 0.6)], 0),
        ([(CAUTION, 0.2), (UNKNOWN, math.nan), (CAUTION, 0.1)], 1),
        ([(CRITICAL, 0.05), (UNKNOWN, math.nan), (CAUTION, 0.01)], 0),
        ([(CRITICAL, -0.5), (VIOLATED, 0.9), (SAFE, 0.1)], 1),
        ([(VIOLATED, math.nan), (VIOLATED, 0.9), (VIOLATED, 1.0)], 1),
        ([(VIOLATED, math.nan), (CRITICAL, 0.0), (CRITICAL, -1.0)], 0),
        ([(UNKNOWN, math.nan), (UNKNOWN, math.nan), (SAFE, 0.0)], 0),
    ],
)
def test_it_takes_the_worst_status_then_the_lower_buffer_then_the_first_account(
    judgements: list[tuple[Status, float]], weakest: int
) -> None:
    pairs = [(0, 0), (0, 1), (0, 2)]
    _, risk = judged(pairs, judgements, [(0, 2), (0, 0), (0, 1)])
    assert risk.group_account[0] == risk.rule_pair[0] == weakest
    assert (risk.group_status[0], risk.rule_status[0]) == (judgements[weakest][0],) * 2
    assert risk.group_buffer[0] == pytest.approx(judgements[weakest][1], nan_ok=True)


def test_it_names_the_accounts_of_which_something_is_not_known() -> None:
    judgements = [(VIOLATED, math.nan), (UNKNOWN, math.nan), (SAFE, 0.5)]
    rows, risk = judged(
        [(0, 0), (0, 1), (0, 2)],
        judgements,
        [(0, 0), (0, 1), (0, 2)],
        known=[False, True, True],
    )
    assert list(risk.unknown_accounts(rows, 0)) == [0, 1]


def test_it_counts_a_member_without_rules_by_whether_it_is_read() -> None:
    rows, risk = judged([], [], [(0, 0), (0, 1), (1, 0)], groups=3, known=[True, False, True])
    assert list(risk.group_status) == [UNKNOWN, SAFE, SAFE]
    assert list(risk.group_account) == [1, 0, -1]
    assert np.isnan(risk.group_buffer).all()
    assert list(risk.unknown_accounts(rows, 0)) == [1]
    assert rows.segments(0) == slice(0, 0)


def test_it_lets_groups_overlap_without_mixing_them() -> None:
    pairs = [(0, 0), (1, 0), (0, 1), (1, 2)]
    judgements = [(SAFE, 0.9), (CAUTION, 0.2), (CRITICAL, 0.1), (VIOLATED, -0.1)]
    rows, risk = judged(pairs, judgements, [(0, 0), (0, 1), (1, 0), (1, 2)], groups=2)
    assert list(risk.group_status) == [CRITICAL, VIOLATED]
    assert list(risk.group_account) == [1, 2]
    assert list(zip(rows.segment_group, rows.segment_rule, strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    owners = rows.table.account_index[risk.rule_pair]
    assert list(owners) == [1, 0, 0, 2]
    assert [list(rows.members(group)) for group in (0, 1)] == [[0, 1], [0, 2]]


pair_numbers = st.tuples(st.integers(0, 3), st.integers(0, 5))
judgement = st.tuples(
    st.sampled_from(list(Status)), st.sampled_from([math.nan, -0.5, 0.0, 0.05, 0.1, 1.0])
)


@given(
    given_pairs=st.dictionaries(pair_numbers, judgement, max_size=20),
    members=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 5))),
    known=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_it_equals_a_sort_of_everything(
    given_pairs: dict[tuple[int, int], tuple[Status, float]],
    members: set[tuple[int, int]],
    known: list[bool],
) -> None:
    rows, risk = judged(
        list(given_pairs),
        list(given_pairs.values()),
        sorted(members),
        groups=3,
        accounts=6,
        known=known,
    )

    def weakness(status: int, buffer: float, account: int) -> tuple[float, ...]:
        return (-status, math.isnan(buffer), 0.0 if math.isnan(buffer) else buffer, account)

    of_accounts = {}
    for account in range(6):
        own = [weakness(*given_pairs[pair], account) for pair in given_pairs if pair[1] == account]
        nothing = weakness(SAFE if known[account] else UNKNOWN, math.nan, account)
        of_accounts[account] = min(own, default=nothing)
    for group in range(3):
        inside = [account for each, account in members if each == group]
        expected = min((of_accounts[account] for account in inside), default=(0.0, True, 0.0, -1))
        assert risk.group_status[group] == -expected[0]
        assert risk.group_account[group] == expected[3]
        for segment in range(*rows.segments(group).indices(len(rows.segment_rule))):
            number = int(rows.segment_rule[segment])
            candidates = [
                weakness(*given_pairs[pair], pair[1])
                for pair in given_pairs
                if pair[0] == number and pair[1] in inside
            ]
            assert rows.table.account_index[risk.rule_pair[segment]] == min(candidates)[3]
            assert risk.rule_status[segment] == -min(candidates)[0]


def test_it_leaves_objectives_out_of_what_decides() -> None:
    target = rule(RuleType.PROFIT_TARGET, "0.1")
    count = rule(COUNT, "5")
    index = np.array([0, 1, 0]), np.array([0, 0, 1])
    table = build_pairs([target, count], [terms(), terms()], *index)
    accounts, result = neutral(table, 2, [True, True])
    rows = build_group_rows(table, 1, np.array([0, 0]), np.array([0, 1]))
    risk = group_risk(rows, result, accounts)
    assert list(risk.account_status) == [SAFE, SAFE]
    assert list(risk.account_pair) == [0, -1]
    assert not risk.account_unknown.any()
    assert (risk.group_status[0], risk.group_account[0]) == (SAFE, 0)
    # The objective itself is not known yet, and says so.
    shown = dict(zip(rows.segment_rule.tolist(), risk.rule_status.tolist(), strict=True))
    assert shown == {0: UNKNOWN, 1: SAFE}

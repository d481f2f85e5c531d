"""No opposite positions in several accounts of one rule."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from risk.core.instruments import by_instrument, instrument_of
from risk.core.pairs import build_pairs
from risk.core.rule_types import RuleType
from risk.core.statuses import Reason, Status
from risk.core.surroundings import Sides
from risk.tests.core_cases import (
    AROUND,
    BUY,
    SELL,
    Row,
    batch,
    evaluated,
    pairs_of,
    rule,
    state_of,
    terms,
)

OPPOSITES = rule(RuleType.NO_CROSS_HEDGING, "1")
EURUSD, GBPUSD, USDCAD = range(3)
SAFE, UNKNOWN, VIOLATED = Status.SAFE, Status.UNKNOWN, Status.VIOLATED


def held(account: int, symbol: int, direction: int) -> Row:
    return {"account": account, "symbol": symbol, "type": direction, "volume": 0.1}


@pytest.mark.parametrize(
    ("positions", "values"),
    [
        ([], [0, 0, 0]),
        ([held(0, EURUSD, BUY), held(1, EURUSD, BUY)], [0, 0, 0]),
        ([held(0, EURUSD, BUY), held(1, GBPUSD, SELL)], [0, 0, 0]),
        ([held(0, EURUSD, BUY), held(0, EURUSD, SELL)], [0, 0, 0]),  # a hedge of its own
        ([held(0, EURUSD, BUY), held(2, EURUSD, SELL)], [1, 0, 1]),
        ([held(0, EURUSD, BUY), held(0, EURUSD, SELL), held(1, EURUSD, BUY)], [1, 1, 0]),
        (
            [
                held(0, EURUSD, BUY),
                held(0, GBPUSD, SELL),
                held(1, EURUSD, SELL),
                held(2, GBPUSD, BUY),
            ],
            [2, 1, 1],
        ),
    ],
)
def test_it_marks_each_account_that_takes_part(positions: Sequence[Row], values: list[int]) -> None:
    table = pairs_of([OPPOSITES], [terms()] * 3)
    result = evaluated(table, state_of(table), batch([{}] * 3, positions))
    assert list(result.value) == values
    assert list(result.buffer) == [1 - value for value in values]
    assert list(result.present) == [VIOLATED if value else SAFE for value in values]


def test_it_points_at_the_symbol_and_the_accounts_own_side() -> None:
    positions = [held(0, EURUSD, SELL), held(0, GBPUSD, BUY), held(1, GBPUSD, SELL)]
    table = pairs_of([OPPOSITES], [terms()] * 2)
    result = evaluated(table, state_of(table), batch([{}] * 2, positions))
    assert list(result.symbol) == [GBPUSD, GBPUSD]
    assert list(result.direction) == [BUY, SELL]


def test_it_looks_only_across_the_accounts_of_one_rule() -> None:
    positions = [held(0, EURUSD, BUY), held(1, EURUSD, SELL)]
    table = build_pairs([OPPOSITES, OPPOSITES], [terms()] * 2, np.array([0, 1]), np.array([0, 1]))
    reading = batch([{}] * 2, positions)
    assert list(evaluated(table, state_of(table), reading).present) == [SAFE, SAFE]
    family = replace(AROUND, rule_families=np.array([4, 4]))
    result = evaluated(table, state_of(table), reading, surroundings=family)
    assert list(result.present) == [VIOLATED, VIOLATED]


def test_it_meets_one_instrument_under_the_names_of_several_brokers() -> None:
    names = {"Demo": {"EURUSD": ("EUR", "USD"), "GBPUSD": ("EUR", "USD")}}
    positions = [held(0, EURUSD, BUY), held(1, GBPUSD, SELL)]
    table = pairs_of([OPPOSITES], [terms()] * 2)
    around = replace(AROUND, currencies=names)
    result = evaluated(table, state_of(table), batch([{}] * 2, positions), surroundings=around)
    assert list(result.present) == [VIOLATED, VIOLATED]
    assert instrument_of("EURUSD.a", ("EUR", "USD")) == "EUR/USD"
    assert instrument_of("GER40", ("EUR", "EUR")) == instrument_of("GER40", None) == "GER40"


def test_it_knows_nothing_while_another_account_was_not_read() -> None:
    table = pairs_of([OPPOSITES], [terms()] * 3)
    quiet = batch([{}] * 3, [held(0, EURUSD, BUY), held(2, EURUSD, SELL)])
    result = evaluated(table, state_of(table), quiet, [True, True, False])
    assert list(result.present) == [UNKNOWN, UNKNOWN, UNKNOWN]
    assert list(result.reason) == [Reason.NO_MEMBER, Reason.NO_MEMBER, Reason.NO_READING]
    opposed = batch([{}] * 3, [held(0, EURUSD, BUY), held(1, EURUSD, SELL)])
    result = evaluated(table, state_of(table), opposed, [True, True, False])
    assert list(result.present) == [VIOLATED, VIOLATED, UNKNOWN]


@pytest.mark.parametrize(
    ("elsewhere", "status"),
    [
        ({}, SAFE),
        ({"EUR/USD": (0.3, 0.0)}, SAFE),
        ({"GBP/USD": (0.0, 0.3)}, SAFE),
        ({"EUR/USD": (0.0, 0.3)}, VIOLATED),
        (None, UNKNOWN),
    ],
)
def test_it_counts_in_what_other_hosts_hold(elsewhere: Sides | None, status: Status) -> None:
    table = pairs_of([OPPOSITES])
    around = replace(AROUND, sides_elsewhere={0: elsewhere})
    reading = batch([{}], [held(0, EURUSD, BUY)])
    result = evaluated(table, state_of(table), reading, surroundings=around)
    assert result.present[0] == status
    if elsewhere is None:
        assert result.reason[0] == Reason.NO_MEMBER


def test_it_adds_up_by_instrument_what_other_hosts_name_by_symbols() -> None:
    currencies = {"Demo": {"EURUSD": ("EUR", "USD")}, "Other": {"EURUSD.a": ("EUR", "USD")}}
    sides = {"EURUSD": (1.0, 0.0), "EURUSD.a": (0.5, 2.0), "GER40": (0.0, 1.0)}
    assert by_instrument(sides, currencies) == {"EUR/USD": (1.5, 2.0), "GER40": (0.0, 1.0)}
    assert by_instrument({"EURUSD": (1.0, 0.0)}, {}) == {"EURUSD": (1.0, 0.0)}

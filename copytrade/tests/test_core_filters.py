from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from copytrade.core.hours import is_within
from copytrade.core.kinds import Directions, EventKind, HeldState, RelationshipState, SkipReason
from copytrade.core.sentences import LONGEST, PLAIN, plain_sentence
from copytrade.tests.core_cases import (
    NOW,
    contract,
    event,
    figures,
    follower,
    held,
    planned,
    skipped,
    terms,
    waiting,
)


@pytest.mark.parametrize(
    ("relationship", "happened", "snapshot", "reason", "sentence"),
    [
        ({"state": RelationshipState.PAUSED}, {}, {}, SkipReason.PAUSED,
         "Copying was paused, so the buy of 1 lot EURUSD was not copied."),
        ({"state": RelationshipState.CLOSE_ONLY}, {}, {}, SkipReason.CLOSE_ONLY,
         "The relationship only closes, so the buy of 1 lot EURUSD was not copied."),
        ({"state": RelationshipState.TERMINATED}, {}, {}, SkipReason.TERMINATED,
         "The relationship had ended before the buy of 1 lot EURUSD."),
        ({"state": RelationshipState.OFFERED}, {}, {}, SkipReason.NOT_ACCEPTED,
         "The relationship was not accepted when the buy of 1 lot EURUSD came."),
        ({"state": RelationshipState.DECLINED}, {}, {}, SkipReason.NOT_ACCEPTED,
         "The relationship was not accepted when the buy of 1 lot EURUSD came."),
        ({}, {"is_own_copy": True}, {}, SkipReason.OWN_COPY,
         "The buy of 1 lot EURUSD was a copy itself, and copies are not copied again."),
        ({"started_at": NOW}, {}, {}, SkipReason.BEFORE_START,
         "The buy of 1 lot EURUSD at 2026-03-04 15:29:59 UTC is older than the relationship,"
         " which copies since 2026-03-04 15:30:00 UTC."),
        ({"open_deadline_seconds": 60}, {"happened_at": NOW - timedelta(seconds=74)}, {},
         SkipReason.LATE,
         "The buy of 1 lot EURUSD was 74.0 s old; this relationship opens within 60 s."),
        ({}, {"symbol": "NZDUSD"}, {}, SkipReason.SYMBOL_UNKNOWN,
         "None of the 4 symbols of the follower's server stands for NZDUSD."),
        ({"symbol_map": {"EURUSD": "EURUSD.x"}}, {}, {}, SkipReason.SYMBOL_UNKNOWN,
         "EURUSD is mapped to EURUSD.x, which the follower's server does not have."),
        ({"exclude_symbols": frozenset({"EURUSD"})}, {}, {}, SkipReason.SYMBOL_EXCLUDED,
         "EURUSD is excluded from copying."),
        ({"include_symbols": frozenset({"XAUUSD", "GBPUSD"})}, {}, {}, SkipReason.SYMBOL_EXCLUDED,
         "EURUSD is not among what is copied: GBPUSD, XAUUSD."),
        ({"directions": Directions.SELL}, {}, {}, SkipReason.DIRECTION,
         "The buy of 1 lot EURUSD was not copied: the relationship copies sells only."),
        ({"magics": frozenset({3, 1})}, {"magic": 2}, {}, SkipReason.MAGIC,
         "Its magic number is 2, and copied are 1, 3."),
        ({"trading_from": time(16), "trading_until": time(17)}, {}, {}, SkipReason.HOURS,
         "It was 15:30:00 in UTC; copied is from 16:00 until 17:00."),
        ({"maximum_positions": 3}, {}, {"open_copies": 3}, SkipReason.MOST_POSITIONS,
         "3 copied positions of at most 3 are open."),
        ({}, {"lots": Decimal("0.01")}, {}, SkipReason.BELOW_MINIMUM,
         "It would be 0.0023 lots; the smallest of EURUSD is 0.01."),
        ({}, {}, {"symbol_names": frozenset()}, SkipReason.NO_READING,
         "The follower's terminal has not told which symbols its server has."),
        ({}, {}, {"figures": None}, SkipReason.NO_READING,
         "The follower's equity is not known: there is no fresh reading of the account."),
        ({}, {"figures": None}, {}, SkipReason.NO_READING,
         "The provider's equity is not known: there is no fresh reading of the account."),
        ({}, {}, {"contracts": {}}, SkipReason.NO_READING,
         "The follower's terminal has not told what a lot of EURUSD is."),
        ({}, {"contract": None}, {}, SkipReason.NO_RATE,
         "What a lot of EURUSD is worth against the provider's is not known."),
        ({"equity_stop": Decimal(2_300)}, {}, {}, SkipReason.EQUITY_STOP,
         "The equity of 2,300.00 USD is at the stop of 2,300.00."),
        ({"equity_stop": Decimal(1)}, {}, {"figures": None}, SkipReason.NO_READING,
         "The follower's equity is not known: there is no fresh reading of the account."),
        ({}, {}, {"lock_reason": "Daily loss of 5 % was reached."}, SkipReason.LOCKED,
         "The account is locked: Daily loss of 5 % was reached."),
        ({"maximum_slippage_points": 20}, {"price": 1.08753}, {}, SkipReason.SLIPPAGE,
         "The price of 1.08774 is 21 points worse than the provider's 1.08753; at most 20 are"
         " allowed."),
        ({}, {"lots_before": Decimal(1)}, {"held": held(state=HeldState.LEFT)}, SkipReason.LEFT,
         "The follower has closed its 0.23 lots of EURUSD by itself."),
        ({}, {}, {"pending": waiting()}, SkipReason.UNCHANGED,
         "The follower's copy of the order is waiting already."),
    ],
)  # fmt: skip
def test_an_open_is_skipped_with_its_numbers(
    relationship: dict[str, Any],
    happened: dict[str, Any],
    snapshot: dict[str, Any],
    reason: SkipReason,
    sentence: str,
) -> None:
    refused = skipped(event(**happened), follower(terms(**relationship), **snapshot))

    assert (refused.reason, refused.sentence) == (reason, sentence)
    assert (refused.relationship_id, refused.account_id) == (terms().id, follower().account_id)


@pytest.mark.parametrize(
    ("relationship", "happened", "snapshot"),
    [
        ({"started_at": NOW - timedelta(seconds=1)}, {}, {}),
        ({"open_deadline_seconds": 60}, {"happened_at": NOW - timedelta(seconds=60)}, {}),
        ({"started_at": NOW}, {"is_adopted": True}, {}),
        ({}, {"is_adopted": True, "happened_at": NOW - timedelta(days=3)}, {}),
        ({"include_symbols": frozenset({"EURUSD"})}, {}, {}),
        ({"exclude_symbols": frozenset({"GBPUSD"})}, {}, {}),
        ({"directions": Directions.BUY}, {}, {}),
        ({"directions": Directions.BUY, "is_reverse": True}, {}, {}),  # of the provider's
        ({"magics": frozenset({2})}, {"magic": 2}, {}),
        ({"trading_from": time(15, 30), "trading_until": time(15, 31)}, {}, {}),
        ({"maximum_positions": 3}, {}, {"open_copies": 2}),
        ({"maximum_positions": 1}, {"lots_before": Decimal(1)},
         {"open_copies": 1, "held": held()}),  # an addition is no further position
        ({}, {}, {"held": held(state=HeldState.LEFT)}),  # turned round: another position
        ({"equity_stop": Decimal("2299.99")}, {}, {}),
        ({"maximum_slippage_points": 20}, {"price": 1.08754}, {}),
        ({"maximum_slippage_points": 20}, {"price": 1.09774}, {}),  # better
        ({"maximum_slippage_points": 20}, {"price": None}, {}),
    ],
)  # fmt: skip
def test_what_just_passes_is_planned(
    relationship: dict[str, Any], happened: dict[str, Any], snapshot: dict[str, Any]
) -> None:
    order = planned(event(**happened), follower(terms(**relationship), **snapshot))

    assert order.lots == Decimal("0.23")


def test_lists_may_name_a_symbol_as_either_side_does() -> None:
    names, here = frozenset({"EURUSD.r"}), contract("EURUSD.r")
    theirs = follower(
        terms(exclude_symbols=frozenset({"EURUSD.r"})),
        symbol_names=names,
        contracts={"EURUSD.r": here},
    )
    ours = follower(
        terms(include_symbols=frozenset({"EURUSD.r"})),
        symbol_names=names,
        contracts={"EURUSD.r": here},
    )

    assert skipped(event(), theirs).reason is SkipReason.SYMBOL_EXCLUDED
    assert planned(event(), ours).symbol == "EURUSD.r"


def test_unknown_equity_passes_no_stop() -> None:
    lost = follower(terms(equity_stop=Decimal(1)), figures=figures(float("nan")))

    assert skipped(event(), lost).reason is SkipReason.NO_READING


PRAGUE, NEW_YORK = "Europe/Prague", "America/New_York"


@pytest.mark.parametrize(
    ("moment", "start", "end", "zone", "expected"),
    [
        ("2026-03-04T08:59:59", time(9), time(17), "UTC", False),
        ("2026-03-04T09:00:00", time(9), time(17), "UTC", True),
        ("2026-03-04T16:59:59", time(9), time(17), "UTC", True),
        ("2026-03-04T17:00:00", time(9), time(17), "UTC", False),
        # over midnight
        ("2026-03-04T21:59:59", time(22), time(2), "UTC", False),
        ("2026-03-04T22:00:00", time(22), time(2), "UTC", True),
        ("2026-03-05T00:00:00", time(22), time(2), "UTC", True),
        ("2026-03-05T01:59:59", time(22), time(2), "UTC", True),
        ("2026-03-05T02:00:00", time(22), time(2), "UTC", False),
        # the whole day
        ("2026-03-05T02:00:00", time(5), time(5), "UTC", True),
        ("2026-03-05T02:00:00", None, None, "UTC", True),
        # 09:00 in Prague is 08:00 UTC in winter and 07:00 in summer
        ("2026-01-15T07:59:59", time(9), time(17), PRAGUE, False),
        ("2026-01-15T08:00:00", time(9), time(17), PRAGUE, True),
        ("2026-07-15T07:00:00", time(9), time(17), PRAGUE, True),
        ("2026-07-15T06:59:59", time(9), time(17), PRAGUE, False),
        # clocks go forward: 02:00 to 03:00 does not happen
        ("2026-03-29T00:59:59", time(2), time(3), PRAGUE, False),
        ("2026-03-29T01:00:00", time(2), time(3), PRAGUE, False),
        ("2026-03-29T01:00:00", time(2, 30), time(4), PRAGUE, True),
        # clocks go back: 02:00 to 03:00 happens twice
        ("2026-10-24T23:59:59", time(2), time(3), PRAGUE, False),
        ("2026-10-25T00:00:00", time(2), time(3), PRAGUE, True),
        ("2026-10-25T01:30:00", time(2), time(3), PRAGUE, True),
        ("2026-10-25T02:00:00", time(2), time(3), PRAGUE, False),
        # New York changes on another day than Europe
        ("2026-03-10T13:30:00", time(9, 30), time(16), NEW_YORK, True),
        ("2026-03-06T13:30:00", time(9, 30), time(16), NEW_YORK, False),
        ("2026-03-10T14:30:00", time(17, 30), time(17, 31), "America/New_York+7h", True),
    ],
)
def test_hours_are_those_of_the_wall_clock(
    moment: str, start: time | None, end: time | None, zone: str, expected: bool
) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)

    assert is_within(now, start, end, zone) is expected


def test_each_reason_has_a_sentence_without_numbers() -> None:
    assert set(PLAIN) == set(SkipReason)
    for reason in SkipReason:
        text = plain_sentence(reason)
        assert text.endswith(".")
        assert not any(character.isdigit() for character in text)


def test_no_sentence_is_too_long_for_its_row() -> None:
    long_lists = frozenset(f"SYMBOL{number}" for number in range(200))
    refused = [
        skipped(event(), follower(terms(include_symbols=long_lists))),
        skipped(event(), follower(terms(magics=frozenset(range(2**52, 2**52 + 100))))),
        skipped(event(), follower(lock_reason="x" * 400)),
        skipped(event(EventKind.PENDING_PLACED, symbol="S" * 32), follower()),
    ]

    for each in refused:
        assert 0 < len(each.sentence) <= LONGEST

"""Numbers as people read them."""

from decimal import Decimal

import pytest

from risk.core.figures import (
    age_text,
    amount_text,
    counted_text,
    duration_text,
    fraction_text,
    left_percent_text,
    left_text,
    minutes_text,
    used_percent_text,
    used_text,
)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0.99, "under a minute"),
        (1.0, "1 minute"),
        (119.9, "119 minutes"),
        (120.0, "2 h"),
        (200.0, "3 h 20 min"),
        (2_880.0, "2 days"),
        (3_120.0, "2 days 4 h"),
    ],
)
def test_it_writes_durations_rounded_down(minutes: float, words: str) -> None:
    assert duration_text(minutes) == words


def test_it_rounds_towards_the_cautious_side() -> None:
    assert left_text(95_212.4 - 95_000, 2) == "212.40"  # 212.39999999999418 as a double
    assert (left_text(0.999, 2), used_text(0.001, 2)) == ("0.99", "0.01")
    assert (left_text(-0.001, 2), amount_text(-0.0001, 2)) == ("-0.01", "0.00")
    assert [left_percent_text(buffer) for buffer in (1.0, 0.9999, 0.0424, 0.004, 0.0, -0.031)] == [
        "100 %",
        "99 %",
        "4 %",
        "under 1 %",
        "0 %",
        "-4 %",
    ]
    assert [used_percent_text(used) for used in (0.0, 0.001, 0.961, 0.996, 1.0, 1.001)] == [
        "0 %",
        "1 %",
        "97 %",
        "99 %",
        "100 %",
        "101 %",
    ]
    assert fraction_text(Decimal("0.055")) == "5.5 %"


@pytest.mark.parametrize(
    ("minutes", "limit", "age"),
    [
        (0.0, "0 minutes", "0 seconds"),
        (0.001, "0.06 seconds", "1 second"),
        (0.1, "6 seconds", "6 seconds"),
        (1.0, "1 minute", "1 minute"),
        (1.5, "90 seconds", "90 seconds"),
        (1.9999, "119.994 seconds", "2 minutes"),
        (2.51, "2.51 minutes", "2.6 minutes"),
        (5.0, "5 minutes", "5 minutes"),
        (700.0, "700 minutes", "700 minutes"),
    ],
)
def test_it_writes_a_few_minutes_in_seconds(minutes: float, limit: str, age: str) -> None:
    assert (minutes_text(minutes), age_text(minutes)) == (limit, age)


def test_it_counts_one_and_many() -> None:
    assert [counted_text(number, "day") for number in (1, 2, 2.5)] == [
        "1 day",
        "2 days",
        "2.5 days",
    ]

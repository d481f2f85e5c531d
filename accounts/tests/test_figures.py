from datetime import UTC, datetime, timedelta

import pytest

from accounts import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (float("nan"), "—"),
        (float("inf"), "—"),
        (0.0, "0.00"),
        (-0.0, "0.00"),
        (-0.001, "0.00"),
        (-0.006, "−0.01"),
        (1234.5, "1,234.50"),
        (-1234567.891, "−1,234,567.89"),
    ],
)
def test_it_writes_amounts(value: float | None, text: str) -> None:
    assert figures.amount(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0.0, "0.00"),
        (0.004, "0.00"),
        (0.5, "+0.50"),
        (12.0, "+12.00"),
        (-3.0, "−3.00"),
    ],
)
def test_it_writes_results_with_their_sign(value: float | None, text: str) -> None:
    assert figures.signed(value) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1.08774, 5, "1.08774"),
        (151.2, 3, "151.200"),
        (20.00412, 5, "20.00412"),
        (51.77, 3, "51.770"),
        (23_924.6, 1, "23,924.6"),
        (-37.63, 2, "−37.63"),
        (4_086.0, 0, "4,086"),
        (0.0, 5, "—"),
        (None, 5, "—"),
    ],
)
def test_it_writes_prices(value: float | None, digits: int, text: str) -> None:
    assert figures.price(value, digits) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "live"), (5.9, "5 s ago"), (60, "1 min ago"), (7_200, "2 h ago"), (200_000, "2 d ago")],
)
def test_it_writes_ages(seconds: float, text: str) -> None:
    assert figures.age(seconds) == text


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (0.5, "in less than a minute"),
        (20, "in 20 min"),
        (200, "in 3 h 20 min"),
        (60 * 72, "in 3 days"),
    ],
)
def test_it_writes_how_long_it_is_until_a_reset(minutes: float, text: str) -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert figures.until(now + timedelta(minutes=minutes), now) == text

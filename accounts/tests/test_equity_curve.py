from datetime import timedelta
from typing import Any

import pytest

from accounts.models import ConnectedAccount, EquitySnapshot, User
from accounts.screen.equity_curve import MOST_MISSING, MOST_POINTS, PERIODS, equity_curve
from accounts.tests.factories import NOW, make_account
from accounts.tests.history_rows import make_snapshot, snapshot

DAY = PERIODS[0]


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice)


def store(account: ConnectedAccount, minute: int, equity: float, **fields: object) -> None:
    worth: dict[str, Any] = {"equity": equity, "equity_low": equity, "equity_high": equity}
    make_snapshot(account, NOW + timedelta(minutes=minute), **{**worth, **fields})


def test_it_leaves_a_gap_where_readings_are_missing(account: ConnectedAccount) -> None:
    last = 2 + MOST_MISSING + 1
    for minute, equity in [(0, 100), (1, 110), (2, 90), (last, 95), (last + 1, 120)]:
        store(account, minute, equity)
    curve = equity_curve(account, DAY, now=NOW + timedelta(minutes=last + 2))
    assert curve is not None
    assert [len(line.split()) for line in curve.lines] == [3, 2]
    assert curve.lines[0].startswith("0.0,")
    assert curve.lines[1].endswith("1000.0,8.0")  # the last is the highest
    assert (curve.low, curve.high, curve.change, curve.tone) == (
        "90.00",
        "120.00",
        "+20.00",
        "gain",
    )


def test_a_few_missing_minutes_are_no_gap(account: ConnectedAccount) -> None:
    for minute in (0, MOST_MISSING):
        store(account, minute, 100)
    curve = equity_curve(account, DAY, now=NOW + timedelta(minutes=MOST_MISSING))
    assert curve is not None
    assert len(curve.lines) == 1


def test_a_long_curve_is_one_line_and_keeps_its_ends_and_spikes(account: ConnectedAccount) -> None:
    # The highest and the lowest of a stretch lie now close together, now far apart.
    equities = [100 + minute * minute % 97 for minute in range(1200)]
    equities[701] = 500
    EquitySnapshot.objects.bulk_create(
        snapshot(
            account,
            NOW + timedelta(minutes=minute),
            equity=equity,
            equity_low=equity,
            equity_high=equity,
        )
        for minute, equity in enumerate(equities)
    )
    curve = equity_curve(account, DAY, now=NOW + timedelta(minutes=1200))
    assert curve is not None
    [line] = curve.lines
    points = [point.split(",") for point in line.split()]
    assert len(points) <= MOST_POINTS + 2
    assert (points[0][0], points[-1][0], curve.high) == ("0.0", "1000.0", "500.00")
    assert min(float(y) for _, y in points) == 8.0
    assert f"from {equities[0]:.2f} to {equities[-1]:.2f} USD" in curve.summary


def test_its_extremes_are_those_between_the_ends_of_minutes(account: ConnectedAccount) -> None:
    store(account, 0, 100, equity_low=90)
    store(account, 1, 100, equity_high=130)
    curve = equity_curve(account, DAY, now=NOW + timedelta(minutes=2))
    assert curve is not None
    assert (curve.low, curve.high, curve.change, curve.tone) == ("90.00", "130.00", "0.00", "none")


def test_it_draws_nothing_of_another_login_or_of_one_point(account: ConnectedAccount) -> None:
    store(account, 0, 100)
    store(account, 1, 100, login=account.login + 1)
    assert equity_curve(account, DAY, now=NOW + timedelta(minutes=2)) is None

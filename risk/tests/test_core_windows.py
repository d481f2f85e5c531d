"""When nothing may be open: windows by the clock over its changes, and windows around news."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.zones import broker_zone
from risk.core.parameters import RuleParameters, TradingWindow
from risk.core.rule_types import Importance, RuleType
from risk.core.statuses import Reason, Status
from risk.core.surroundings import EMPTY, Calendar, CalendarEvent, Surroundings
from risk.core.windows import ClockWindow, minutes_until, window_of
from risk.tests.core_cases import (
    AROUND,
    NOON,
    Row,
    at,
    batch,
    evaluated,
    pairs_of,
    rule,
    state_of,
    terms,
)

WINDOW = RuleType.TRADING_WINDOW
PRAGUE, BROKER = "Europe/Prague", "America/New_York+7h"
HELD: Row = {"symbol": 0, "type": 0, "volume": 1.0, "notional": 1.0}
ORDERED: Row = {"symbol": 0, "type": 2, "volume": 1.0}


def daily(begin: str, end: str, limit: str = "30", **raw: object) -> RuleParameters:
    return rule(WINDOW, limit, kind="daily", from_time=begin, until_time=end, **raw)


def weekend(**raw: object) -> RuleParameters:
    return rule(WINDOW, "30", from_time="21:45", until_time="23:00", **raw)


def news(**raw: object) -> RuleParameters:
    return rule(WINDOW, "5", kind="news", **raw)


def minutes(rule_: RuleParameters, moment: float) -> float:
    assert isinstance(rule_, TradingWindow)
    window = window_of(rule_, BROKER)
    assert isinstance(window, ClockWindow)
    return minutes_until(window, moment)


@pytest.mark.parametrize(
    ("moment", "left", "status"),
    [
        (at(2026, 6, 1, 17, 0), 30.0, Status.SAFE),
        (at(2026, 6, 1, 19, 15), 30.0, Status.SAFE),
        (at(2026, 6, 1, 19, 36), 9.0, Status.CAUTION),
        (at(2026, 6, 1, 19, 42), 3.0, Status.CRITICAL),
        (at(2026, 6, 1, 19, 44, 59), 1 / 60, Status.CRITICAL),
        (at(2026, 6, 1, 19, 45), 0.0, Status.VIOLATED),
        (at(2026, 6, 1, 19, 45, 1), -1 / 60, Status.VIOLATED),
        (at(2026, 6, 1, 20, 59, 59), -74 - 59 / 60, Status.VIOLATED),
        (at(2026, 6, 1, 21, 0), 30.0, Status.SAFE),
    ],
)
def test_it_shrinks_before_the_window_and_is_violated_inside(
    moment: float, left: float, status: Status
) -> None:
    table = pairs_of([daily("21:45", "23:00", zone=PRAGUE)])
    around = replace(AROUND, moment=moment)
    result = evaluated(table, state_of(table), batch([{}], [HELD]), surroundings=around)
    assert result.present[0] == status
    assert result.left[0] == pytest.approx(left)
    assert result.used[0] == pytest.approx(30 - left)
    empty = evaluated(table, state_of(table), batch([{}]), surroundings=around)
    assert (empty.present[0], empty.buffer[0]) == (Status.SAFE, 1.0)
    assert empty.reason[0] == Reason.NOTHING_OPEN


@pytest.mark.parametrize(
    ("zone", "begin", "end", "moment", "left"),
    [
        # Prague sets its clock forward at 01:00 UTC on 29 March 2026, back on 25 October.
        (PRAGUE, "22:00", "23:00", at(2026, 3, 28, 21, 0), 0.0),
        (PRAGUE, "22:00", "23:00", at(2026, 3, 29, 20, 0), 0.0),
        (PRAGUE, "22:00", "23:00", at(2026, 10, 24, 20, 0), 0.0),
        (PRAGUE, "22:00", "23:00", at(2026, 10, 25, 21, 0), 0.0),
        # The window over the night that is an hour short, and the one that is an hour long.
        (PRAGUE, "23:00", "06:00", at(2026, 3, 29, 3, 59, 59), -60 * 5 - 59 - 59 / 60),
        (PRAGUE, "23:00", "06:00", at(2026, 3, 29, 4, 0), 17 * 60.0),
        (PRAGUE, "23:00", "06:00", at(2026, 10, 25, 4, 59, 59), -60 * 7 - 59 - 59 / 60),
        (PRAGUE, "23:00", "06:00", at(2026, 10, 25, 5, 0), 17 * 60.0),
        # A beginning that is skipped happens when the clock jumps, one that occurs twice at once.
        (PRAGUE, "02:30", "04:00", at(2026, 3, 29, 0, 59, 59), 1 / 60),
        (PRAGUE, "02:30", "04:00", at(2026, 3, 29, 1, 0), 0.0),
        (PRAGUE, "02:30", "04:00", at(2026, 10, 25, 0, 30), 0.0),
        # A window that lies in the skipped hour does not happen: the next one is tomorrow's.
        (PRAGUE, "02:10", "02:50", at(2026, 3, 29, 1, 0), 23 * 60 + 10.0),
        # Brokers follow New York: 8 March and 1 November 2026.
        (BROKER, "23:50", "00:10", at(2026, 3, 7, 21, 50), 0.0),
        (BROKER, "23:50", "00:10", at(2026, 3, 8, 20, 50), 0.0),
        (BROKER, "23:50", "00:10", at(2026, 10, 31, 20, 50), 0.0),
        (BROKER, "23:50", "00:10", at(2026, 11, 1, 21, 50), 0.0),
        (BROKER, "23:50", "00:10", at(2026, 11, 1, 22, 10), 23 * 60 + 40.0),
    ],
)
def test_it_follows_daylight_saving(
    zone: str, begin: str, end: str, moment: float, left: float
) -> None:
    assert minutes(daily(begin, end, zone=zone), moment) == pytest.approx(left)


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        (at(2026, 6, 5, 19, 44), 1.0),  # a Friday
        (at(2026, 6, 5, 19, 45), 0.0),
        (at(2026, 6, 6, 12, 0), -975.0),
        (at(2026, 6, 7, 20, 59), -2 * 24 * 60 - 74.0),
        (at(2026, 6, 7, 21, 0), 5 * 24 * 60 - 75.0),
        # Over the change of 28 March: the weekend is an hour short.
        (at(2026, 3, 27, 20, 45), 0.0),
        (at(2026, 3, 29, 20, 59), -47 * 60 - 74.0),
        (at(2026, 3, 29, 21, 0), 5 * 24 * 60 - 75.0),
        # And over that of 25 October, an hour long.
        (at(2026, 10, 23, 19, 45), 0.0),
        (at(2026, 10, 25, 21, 59), -49 * 60 - 74.0),
    ],
)
def test_it_is_flat_over_the_weekend(moment: float, left: float) -> None:
    assert minutes(weekend(zone=PRAGUE), moment) == pytest.approx(left)


def test_it_runs_from_sunday_to_monday_and_within_one_day() -> None:
    over_night = weekend(zone="UTC", from_weekday=6, until_weekday=0)
    assert minutes(over_night, at(2026, 6, 8, 1)) == -195.0
    assert minutes(over_night, at(2026, 6, 8, 23)) == 6 * 24 * 60 - 75.0
    one_day = weekend(zone="UTC", from_weekday=2, until_weekday=2)
    assert minutes(one_day, at(2026, 6, 3, 22)) == -15.0
    assert minutes(one_day, at(2026, 6, 3, 23)) == 7 * 24 * 60 - 75.0


def test_it_takes_the_brokers_clock_where_the_rule_names_no_zone() -> None:
    table = pairs_of([daily("23:30", "23:45")], [terms(zone=BROKER), terms(zone=PRAGUE)])
    reading = batch([{}, {}], [{**HELD, "account": account} for account in (0, 1)])
    around = replace(AROUND, moment=at(2026, 6, 1, 20, 30))
    result = evaluated(table, state_of(table), reading, surroundings=around)
    assert list(result.present) == [Status.VIOLATED, Status.SAFE]
    later = replace(around, moment=at(2026, 6, 1, 21, 30))
    result = evaluated(table, state_of(table), reading, surroundings=later)
    assert list(result.present) == [Status.SAFE, Status.VIOLATED]


def test_it_counts_pending_orders_as_the_rule_says() -> None:
    rules = [
        daily("11:00", "13:00", zone="UTC"),
        daily("11:00", "13:00", zone="UTC", include_pending=False),
    ]
    table = pairs_of(rules)
    result = evaluated(table, state_of(table), batch([{}], [], [ORDERED]))
    assert list(result.present) == [Status.VIOLATED, Status.SAFE]


def test_it_narrows_a_window_to_a_strategy() -> None:
    rules = [daily("11:00", "13:00", zone="UTC", magic=magic) for magic in (7, 8)]
    table = pairs_of(rules)
    result = evaluated(table, state_of(table), batch([{}], [{**HELD, "magic": 7}]))
    assert list(result.present) == [Status.VIOLATED, Status.SAFE]


def test_it_knows_no_window_without_the_time_or_a_reading() -> None:
    table = pairs_of([daily("11:00", "13:00")])
    reading = batch([{}], [HELD])
    result = evaluated(table, state_of(table), reading, surroundings=EMPTY)
    assert (result.present[0], result.reason[0]) == (Status.UNKNOWN, Reason.NO_MOMENT)
    result = evaluated(table, state_of(table), reading, [False])
    assert (result.present[0], result.reason[0]) == (Status.UNKNOWN, Reason.NO_READING)


def calendar(*events: tuple[float, str, Importance]) -> Surroundings:
    """Return surroundings whose calendar covers the day around noon with these events."""
    listed = tuple(
        CalendarEvent(NOON + offset * 60, currency, importance)
        for offset, currency, importance in events
    )
    known = Calendar(NOON - 43_200, NOON + 43_200, listed)
    return replace(AROUND, calendars={0: known})


HIGH, MEDIUM, LOW = Importance.HIGH, Importance.MEDIUM, Importance.LOW


@pytest.mark.parametrize(
    ("offset", "left", "status"),
    [
        (600.0, 5.0, Status.SAFE),
        (10.0, 5.0, Status.SAFE),
        (6.0, 1.0, Status.CAUTION),
        (5.01, 0.01, Status.CRITICAL),
        (5.0, 0.0, Status.VIOLATED),
        (4.99, -0.01, Status.VIOLATED),
        (0.0, -5.0, Status.VIOLATED),
        (-4.99, -9.99, Status.VIOLATED),
        (-5.0, 5.0, Status.SAFE),
    ],
)
def test_it_keeps_away_from_news(offset: float, left: float, status: Status) -> None:
    table = pairs_of([news()])
    around = calendar((offset, "USD", HIGH), (-300.0, "USD", HIGH))
    result = evaluated(table, state_of(table), batch([{}], [HELD]), surroundings=around)
    assert result.present[0] == status
    assert result.left[0] == pytest.approx(left)


@pytest.mark.parametrize(
    ("raw", "events", "status"),
    [
        ({}, [(0.0, "EUR", HIGH)], Status.VIOLATED),
        ({}, [(0.0, "CAD", HIGH)], Status.SAFE),  # not held
        ({"currencies": ["EUR"]}, [(0.0, "USD", HIGH)], Status.SAFE),
        ({"currencies": ["EUR"]}, [(0.0, "EUR", HIGH)], Status.VIOLATED),
        ({}, [(0.0, "USD", MEDIUM)], Status.SAFE),
        ({"min_importance": "medium"}, [(0.0, "USD", MEDIUM)], Status.VIOLATED),
        ({"min_importance": "low"}, [(0.0, "USD", LOW)], Status.VIOLATED),
        ({"min_importance": "medium"}, [(0.0, "USD", LOW)], Status.SAFE),
        ({}, [(2.0, "USD", HIGH), (-4.0, "EUR", HIGH)], Status.VIOLATED),
    ],
)
def test_it_takes_the_news_of_held_currencies(
    raw: dict[str, object], events: Sequence[tuple[float, str, Importance]], status: Status
) -> None:
    table = pairs_of([news(**raw)])
    result = evaluated(table, state_of(table), batch([{}], [HELD]), surroundings=calendar(*events))
    assert result.present[0] == status


def test_it_counts_news_for_pending_orders_as_the_rule_says() -> None:
    table = pairs_of([news(), news(include_pending=False)])
    around = calendar((0.0, "CAD", HIGH), (0.0, "EUR", HIGH))
    usdcad, gbpusd = {**ORDERED, "symbol": 2}, {**HELD, "symbol": 1}
    reading = batch([{}], [gbpusd], [usdcad])
    result = evaluated(table, state_of(table), reading, surroundings=around)
    assert list(result.present) == [Status.VIOLATED, Status.SAFE]


@pytest.mark.parametrize(
    ("around", "reason"),
    [
        (AROUND, Reason.NO_CALENDAR),
        (replace(calendar(), moment=NOON + 43_200), Reason.NO_CALENDAR),
        (replace(calendar(), moment=NOON - 43_200), Reason.NO_CALENDAR),
        (replace(calendar(), users=np.array([5])), Reason.NO_CALENDAR),
        (replace(calendar(), users=np.empty(0, dtype=np.int64)), Reason.NO_OWNER),
        (replace(calendar(), currencies={}), Reason.NO_CURRENCIES),
    ],
)
def test_it_knows_nothing_of_news_without_a_calendar(around: Surroundings, reason: Reason) -> None:
    table = pairs_of([news()])
    result = evaluated(table, state_of(table), batch([{}], [HELD]), surroundings=around)
    assert (result.present[0], result.reason[0]) == (Status.UNKNOWN, reason)


def test_it_reads_each_users_own_calendar() -> None:
    users = np.array([1, 2, 3])
    quiet = Calendar(NOON - 43_200, NOON + 43_200, ())
    loud = Calendar(NOON - 43_200, NOON + 43_200, (CalendarEvent(NOON, "EUR", HIGH),))
    around = replace(AROUND, users=users, calendars={1: quiet, 2: loud})
    table = pairs_of([news()], [terms()] * 3)
    reading = batch([{}] * 3, [{**HELD, "account": account} for account in range(3)])
    result = evaluated(table, state_of(table), reading, surroundings=around)
    assert list(result.present) == [Status.SAFE, Status.VIOLATED, Status.UNKNOWN]


clock_times = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(
    lambda clock: f"{clock[0]:02}:{clock[1]:02}"
)


@given(
    begin=clock_times,
    end=clock_times,
    zone=st.sampled_from([PRAGUE, BROKER, "UTC", "Asia/Kolkata", "Australia/Lord_Howe"]),
    moment=st.integers(int(at(2026, 1, 1)), int(at(2027, 1, 1))),
)
def test_it_is_inside_exactly_when_the_wall_clock_says_so(
    begin: str, end: str, zone: str, moment: int
) -> None:
    """Away from clock changes a window is what the hands of the clock show."""
    if begin == end:
        return
    parameters = daily(begin, end, zone=zone)
    assert isinstance(parameters, TradingWindow)
    window = window_of(parameters, "UTC")
    assert isinstance(window, ClockWindow)
    local = [
        datetime.fromtimestamp(moment + days * 86_400, UTC).astimezone(broker_zone(zone))
        for days in (-2, 0, 2)
    ]
    if len({moment_.utcoffset() for moment_ in local}) > 1:
        return
    shown = f"{local[1]:%H:%M}"
    inside = begin <= shown < end if begin < end else shown >= begin or shown < end
    assert (minutes_until(window, float(moment)) <= 0) == inside

"""Broker clocks and trading days."""

import pickle
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.zones import (
    broker_zone,
    from_broker_epoch,
    next_reset,
    reset_instant,
    to_broker_epoch,
    trading_day_start,
)

NEW_YORK_PLUS_7 = broker_zone("America/New_York+7h")
MIDNIGHT = time(0, 0)
ZONES = [
    "UTC",
    "UTC+3h",
    "Europe/Prague",
    "America/New_York",
    "America/New_York+7h",
    "America/Chicago",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Apia",
]
instants = st.datetimes(
    min_value=datetime(2005, 1, 1),  # noqa: DTZ001 (Hypothesis wants naive bounds)
    max_value=datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
resets = st.times().map(lambda at: at.replace(microsecond=0))


def utc(year: int, month: int, day: int, *clock: int) -> datetime:
    hour, minute, second = (*clock, 0, 0, 0)[:3]
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "offset_hours"),
    [
        (utc(2026, 1, 15, 12), 2),
        (utc(2026, 3, 8, 6, 59, 59), 2),
        (utc(2026, 3, 8, 7), 3),  # New York changes three weeks before Europe
        (utc(2026, 7, 1), 3),
        (utc(2026, 10, 26), 3),  # Europe has changed already
        (utc(2026, 11, 1, 5, 59, 59), 3),
        (utc(2026, 11, 1, 6), 2),
    ],
)
def test_it_lets_daylight_saving_follow_new_york(moment: datetime, offset_hours: int) -> None:
    assert to_broker_epoch(moment.timestamp(), NEW_YORK_PLUS_7) == (
        moment.timestamp() + 3600 * offset_hours
    )


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../etc/passwd", "America", "+7h", "Europe/Prague+7", "UTC+99h"]
)
def test_it_names_an_unknown_zone_in_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=r"time zone|too far") as refusal:
        broker_zone(name)
    assert repr(name) in str(refusal.value)


def test_it_refuses_a_shift_no_clock_can_show() -> None:
    with pytest.raises(ValueError, match="too far"):
        broker_zone("Pacific/Kiritimati+14h")


def test_it_keeps_a_shifted_zone_through_pickle() -> None:
    copied = pickle.loads(pickle.dumps(NEW_YORK_PLUS_7))  # noqa: S301
    assert copied == NEW_YORK_PLUS_7
    assert hash(copied) == hash(NEW_YORK_PLUS_7)
    assert str(copied) == "America/New_York+7h"


@given(moment=instants, name=st.sampled_from(ZONES))
def test_it_reads_back_what_it_wrote_or_the_first_of_two(moment: datetime, name: str) -> None:
    zone = broker_zone(name)
    written = to_broker_epoch(moment.timestamp(), zone)
    read = from_broker_epoch(written, zone)
    assert to_broker_epoch(read, zone) == pytest.approx(written, abs=1e-5)
    assert read <= moment.timestamp() + 1e-5


def test_it_takes_a_repeated_wall_clock_time_as_the_first() -> None:
    # New York's 01:30 of 1 November 2026 happens twice: the broker's clock shows 08:30 twice.
    first, second = utc(2026, 11, 1, 5, 30).timestamp(), utc(2026, 11, 1, 6, 30).timestamp()
    assert to_broker_epoch(first, NEW_YORK_PLUS_7) == to_broker_epoch(second, NEW_YORK_PLUS_7)
    assert from_broker_epoch(to_broker_epoch(second, NEW_YORK_PLUS_7), NEW_YORK_PLUS_7) == first


def test_it_puts_a_skipped_wall_clock_time_after_the_change() -> None:
    skipped = utc(2026, 3, 8, 9, 30).timestamp()  # the broker's clock jumps from 09:00 to 10:00
    assert from_broker_epoch(skipped, NEW_YORK_PLUS_7) == utc(2026, 3, 8, 7, 30).timestamp()


@pytest.mark.parametrize(
    ("now", "reset", "zone", "start"),
    [
        (utc(2026, 6, 1, 21, 59, 59), MIDNIGHT, "Europe/Prague", utc(2026, 5, 31, 22)),
        (utc(2026, 6, 1, 22), MIDNIGHT, "Europe/Prague", utc(2026, 6, 1, 22)),
        (utc(2026, 6, 1, 22, 0, 1), MIDNIGHT, "Europe/Prague", utc(2026, 6, 1, 22)),
        (utc(2026, 1, 15, 22, 30), MIDNIGHT, "Europe/Prague", utc(2026, 1, 14, 23)),
        (utc(2026, 6, 1, 20, 59), time(17), "America/New_York", utc(2026, 5, 31, 21)),
        (utc(2026, 12, 1, 22), time(17), "America/New_York", utc(2026, 12, 1, 22)),
        (utc(2026, 6, 1, 21), MIDNIGHT, "America/New_York+7h", utc(2026, 6, 1, 21)),
        (utc(2026, 12, 1, 21), MIDNIGHT, "America/New_York+7h", utc(2026, 11, 30, 22)),
        # A spring day of 23 hours and an autumn day of 25 hours.
        (utc(2026, 3, 29, 21, 59), MIDNIGHT, "Europe/Prague", utc(2026, 3, 28, 23)),
        (utc(2026, 10, 25, 22, 59), MIDNIGHT, "Europe/Prague", utc(2026, 10, 24, 22)),
        # 02:30 does not exist that day: the reset happens when the clock jumps to 03:00.
        (utc(2026, 3, 29, 0, 59, 59), time(2, 30), "Europe/Prague", utc(2026, 3, 28, 1, 30)),
        (utc(2026, 3, 29, 1), time(2, 30), "Europe/Prague", utc(2026, 3, 29, 1)),
        # 02:30 exists twice that day: only the first is the reset.
        (utc(2026, 10, 25, 0, 29), time(2, 30), "Europe/Prague", utc(2026, 10, 24, 0, 30)),
        (utc(2026, 10, 25, 0, 30), time(2, 30), "Europe/Prague", utc(2026, 10, 25, 0, 30)),
        (utc(2026, 10, 25, 1, 45), time(2, 30), "Europe/Prague", utc(2026, 10, 25, 0, 30)),
        # A midnight that the clock skips (Sao Paulo before 2019).
        (utc(2018, 11, 4, 3), MIDNIGHT, "America/Sao_Paulo", utc(2018, 11, 4, 3)),
        (utc(2018, 11, 4, 2, 59), MIDNIGHT, "America/Sao_Paulo", utc(2018, 11, 3, 3)),
        # Samoa skipped the whole of 30 December 2011.
        (utc(2011, 12, 30, 10), MIDNIGHT, "Pacific/Apia", utc(2011, 12, 30, 10)),
        # Newfoundland set its clock back over midnight: that midnight is over already.
        (utc(2010, 11, 7, 2, 45), MIDNIGHT, "America/St_Johns", utc(2010, 11, 7, 2, 30)),
    ],
)
def test_it_finds_the_start_of_the_trading_day(
    now: datetime, reset: time, zone: str, start: datetime
) -> None:
    assert trading_day_start(now, reset, broker_zone(zone)) == start


@given(now=instants, reset=resets, name=st.sampled_from(ZONES))
def test_it_keeps_now_between_two_neighbouring_resets(
    now: datetime, reset: time, name: str
) -> None:
    zone = broker_zone(name)
    start, end = trading_day_start(now, reset, zone), next_reset(now, reset, zone)
    assert start <= now < end
    assert trading_day_start(end - timedelta(microseconds=1), reset, zone) == start
    assert trading_day_start(end, reset, zone) == end
    assert next_reset(start, reset, zone) == end
    assert timedelta(hours=20) < end - start < timedelta(hours=52)


@given(now=instants, reset=resets, name=st.sampled_from(ZONES))
def test_it_resets_at_the_reset_time_unless_that_is_skipped(
    now: datetime, reset: time, name: str
) -> None:
    zone = broker_zone(name)
    local = trading_day_start(now, reset, zone).astimezone(zone)
    if local.timetz().replace(tzinfo=None) != reset:
        just_before = trading_day_start(now, reset, zone) - timedelta(seconds=1)
        assert just_before.astimezone(zone).utcoffset() != local.utcoffset()


def test_it_refuses_a_moment_without_a_zone() -> None:
    with pytest.raises(ValueError, match="must carry"):
        trading_day_start(datetime(2026, 1, 1), MIDNIGHT, broker_zone("UTC"))  # noqa: DTZ001


def test_it_finds_a_reset_on_a_given_day() -> None:
    day = utc(2026, 6, 1).date()
    assert reset_instant(day, time(17), broker_zone("America/New_York")) == utc(2026, 6, 1, 21)

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from notifications.quiet_hours import quiet_until

INSTANT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
# Jumps by an hour north and south of the equator, by half an hour, at midnight, and none.
ZONES = [
    "Europe/Prague",
    "America/New_York",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Santiago",
    "Asia/Kathmandu",
    "UTC",
]
times = st.times().map(lambda at: at.replace(second=0, microsecond=0))
START = datetime(2025, 1, 1, tzinfo=UTC)
moments = st.timedeltas(timedelta(0), timedelta(days=1100)).map(lambda since: START + since)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def clock(text: str | None) -> time | None:
    return None if text is None else time.fromisoformat(text)


def until(
    moment: str | datetime, begins: str | None, ends: str | None, zone: str = "UTC"
) -> datetime | None:
    when = at(moment) if isinstance(moment, str) else moment
    return quiet_until(when, zone=zone, begins=clock(begins), ends=clock(ends))


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2026-11-20 12:59:59.999999", None),
        ("2026-11-20 13:00", "2026-11-20 14:30"),
        ("2026-11-20 14:29:59.999999", "2026-11-20 14:30"),
        ("2026-11-20 14:30", None),
    ],
)
def test_it_is_quiet_from_the_beginning_up_to_the_end(moment: str, end: str | None) -> None:
    assert until(moment, "13:00", "14:30") == (end and at(end))


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2026-11-20 21:59:59.999999", None),
        ("2026-11-20 22:00", "2026-11-21 07:00"),
        ("2026-11-21 00:00", "2026-11-21 07:00"),
        ("2026-11-21 06:59:59.999999", "2026-11-21 07:00"),
        ("2026-11-21 07:00", None),
    ],
)
def test_it_is_quiet_over_midnight(moment: str, end: str | None) -> None:
    assert until(moment, "22:00", "07:00") == (end and at(end))


@pytest.mark.parametrize(
    ("begins", "ends"), [(None, None), ("22:00", None), (None, "07:00"), ("22:00", "22:00")]
)
@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_it_knows_days_without_quiet_hours(begins: str | None, ends: str | None, hour: int) -> None:
    assert until(f"2026-11-20 {hour:02}:00", begins, ends) is None


def test_it_is_quiet_by_the_users_clock() -> None:
    assert until("2026-11-20 21:30", "22:00", "07:00", "Europe/Prague") == at("2026-11-21 06:00")
    assert until("2026-07-20 20:30", "22:00", "07:00", "Europe/Prague") == at("2026-07-21 05:00")
    assert until("2026-11-20 21:30", "22:00", "07:00", "America/New_York") is None


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_it_takes_a_zone_that_nobody_knows_for_utc(zone: str) -> None:
    assert until("2026-11-20 23:00", "22:00", "07:00", zone) == at("2026-11-21 07:00")


def test_it_lasts_an_hour_less_or_more_in_the_nights_of_the_change() -> None:
    # 28 March and 31 October 2027, at 01:00 UTC both.
    begins, ends, zone = "22:00", "07:00", "Europe/Prague"
    assert until("2027-03-27 21:00", begins, ends, zone) == at("2027-03-28 05:00")
    assert until("2027-10-30 20:00", begins, ends, zone) == at("2027-10-31 06:00")


@pytest.mark.parametrize(
    ("moment", "end"),
    [("2027-03-28 00:59:59.999999", "2027-03-28 01:00"), ("2027-03-28 01:00", None)],
)
def test_it_ends_with_the_jump_when_its_end_is_skipped(moment: str, end: str | None) -> None:
    assert until(moment, "22:00", "02:30", "Europe/Prague") == (end and at(end))


@pytest.mark.parametrize(
    ("moment", "end"),
    [("2027-03-28 00:59:59.999999", None), ("2027-03-28 01:00", "2027-03-28 05:00")],
)
def test_it_begins_with_the_jump_when_its_beginning_is_skipped(
    moment: str, end: str | None
) -> None:
    assert until(moment, "02:30", "07:00", "Europe/Prague") == (end and at(end))


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2027-10-31 00:30", "2027-10-31 01:30"),  # 02:30 for the first time
        ("2027-10-31 00:45", "2027-10-31 01:30"),
        ("2027-10-31 01:29:59.999999", "2027-10-31 01:30"),
        ("2027-10-31 01:30", None),  # and for the second
    ],
)
def test_it_ends_with_the_second_of_two_ends(moment: str, end: str | None) -> None:
    assert until(moment, "22:00", "02:30", "Europe/Prague") == (end and at(end))


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        ("2027-10-31 00:29:59.999999", None),
        ("2027-10-31 00:30", "2027-10-31 06:00"),
        ("2027-10-31 01:15", "2027-10-31 06:00"),  # 02:15 for the second time
    ],
)
def test_it_begins_with_the_first_of_two_beginnings(moment: str, end: str | None) -> None:
    assert until(moment, "02:30", "07:00", "Europe/Prague") == (end and at(end))


def test_it_goes_on_when_the_next_hours_have_begun_before_the_end() -> None:
    # Of a day of 25 hours, 02:45 comes for the first time before 02:15 does for the second.
    for moment in ("2027-10-30 12:00", "2027-10-31 00:50"):
        assert until(moment, "02:45", "02:15", "Europe/Prague") == at("2027-11-01 01:15")


@settings(deadline=None)
@given(moments, times, times, st.sampled_from(ZONES))
@example(at("2027-03-28 00:30"), time(2), time(3), "Europe/Prague")
@example(at("2027-10-31 00:30"), time(2), time(3), "Europe/Prague")
def test_it_holds_until_a_moment_that_it_keeps_to(
    moment: datetime, begins: time, ends: time, zone: str
) -> None:
    end = quiet_until(moment, zone=zone, begins=begins, ends=ends)
    assume(end is not None)
    assert end is not None

    assert moment < end <= moment + timedelta(hours=50)
    for between in (moment + (end - moment) / 2, end - INSTANT):
        assert quiet_until(between, zone=zone, begins=begins, ends=ends) == end
    shown = end.astimezone(ZoneInfo(zone))
    before = (end - INSTANT).astimezone(ZoneInfo(zone))
    assert shown.time() == ends or before.utcoffset() != shown.utcoffset()


@settings(deadline=None)
@given(moments, times, times, st.sampled_from(ZONES))
def test_it_follows_the_clock_on_days_without_a_change(
    moment: datetime, begins: time, ends: time, zone: str
) -> None:
    local = moment.astimezone(ZoneInfo(zone))
    offsets = {
        (moment + days * 24 * HOUR).astimezone(ZoneInfo(zone)).utcoffset() for days in (-2, 0, 2)
    }
    assume(len(offsets) == 1)
    now = local.time()
    is_quiet = begins <= now < ends if begins < ends else now >= begins or now < ends

    end = quiet_until(moment, zone=zone, begins=begins, ends=ends)

    assert (end is not None) == (is_quiet and begins != ends)

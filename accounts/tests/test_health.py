from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.health import LAST_ERRORS, WINDOWS, Change, Health, Uptime, health_of

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=100)
STATES = ("disconnected", "connecting", "connected", "error")


def ago(**units: float) -> datetime:
    return NOW - timedelta(**units)


def judge(
    *steps: tuple[datetime, str],
    before: str = "connected",
    created_at: datetime = LONG_AGO,
    read_until: datetime | None = NOW,
) -> Health:
    """Return the health of an account that went through these steps, coming from `before`."""
    changes, state = [], before
    for at, to_state in steps:
        changes.append(Change(at, state, to_state, message=f"{to_state} since then"))
        state = to_state
    return health_of(changes, state=state, created_at=created_at, read_until=read_until, now=NOW)


def window(health: Health, name: str) -> Uptime:
    return next(uptime for uptime in health.uptimes if uptime.window == name)


def fractions(health: Health) -> list[float | None]:
    return [uptime.uptime_fraction for uptime in health.uptimes]


def test_it_looks_at_four_windows() -> None:
    assert [uptime.window for uptime in judge().uptimes] == ["5m", "1h", "1d", "1w"]
    assert fractions(judge()) == [1.0] * 4


def test_an_account_that_is_not_wanted_has_no_uptime() -> None:
    health = judge(before="disconnected")
    assert fractions(health) == [None] * 4
    assert window(health, "1w").wanted_seconds == 0.0


def test_an_account_in_error_is_down() -> None:
    assert fractions(judge(before="error")) == [0.0] * 4


def test_it_counts_an_outage_in_the_windows_that_it_lies_in() -> None:
    health = judge((ago(minutes=40), "error"), (ago(minutes=10), "connected"))
    assert fractions(health) == pytest.approx([1.0, 0.5, 1 - 0.5 / 24, 1 - 0.5 / 168])
    assert [uptime.reconnects for uptime in health.uptimes] == [0, 1, 1, 1]
    assert [uptime.failures for uptime in health.uptimes] == [0, 1, 1, 1]


def test_a_disconnect_by_a_person_is_no_downtime() -> None:
    health = judge(
        (ago(minutes=50), "disconnected"),
        (ago(minutes=20), "connecting"),
        (ago(minutes=19), "connected"),
    )
    hour = window(health, "1h")
    assert (hour.wanted_seconds, hour.connected_seconds) == (30 * 60, 29 * 60)
    assert (hour.reconnects, hour.failures) == (0, 0)


def test_nothing_is_known_of_before_the_account_existed() -> None:
    created_at = ago(minutes=30)
    health = judge(
        (created_at, "connecting"),
        (ago(minutes=20), "connected"),
        before="disconnected",
        created_at=created_at,
    )
    day = window(health, "1d")
    assert (day.wanted_seconds, day.connected_seconds) == (30 * 60, 20 * 60)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1.0])
def test_a_window_begins_where_it_says(seconds: float) -> None:
    begin = WINDOWS["5m"].total_seconds()
    health = judge((ago(seconds=begin + seconds), "error"), (ago(seconds=100), "connected"))
    five = window(health, "5m")
    assert five.wanted_seconds == begin
    assert five.connected_seconds == 100 + max(0.0, -seconds)
    assert five.failures == (1 if seconds < 0 else 0)
    assert five.reconnects == 1


def test_what_a_dead_worker_left_behind_is_no_uptime() -> None:
    health = judge(read_until=ago(minutes=30))
    assert window(health, "1h").uptime_fraction == 0.5
    assert window(health, "5m").uptime_fraction == 0.0


def test_nor_is_what_a_restart_has_found() -> None:
    changes = [
        Change(ago(minutes=20), "connected", "connecting", read_until=ago(minutes=50)),
        Change(ago(minutes=20), "connecting", "connected"),
    ]
    health = health_of(changes, state="connected", created_at=LONG_AGO, read_until=NOW, now=NOW)
    assert window(health, "1h").uptime_fraction == 0.5


def test_it_tells_the_last_errors_first() -> None:
    steps = []
    for number in range(LAST_ERRORS + 2):
        steps += [(ago(hours=number + 2), "connected"), (ago(hours=number + 1.5), "error")]
    health = judge(*sorted(steps))
    assert [error.at for error in health.last_errors] == [
        ago(hours=number + 1.5) for number in range(LAST_ERRORS)
    ]
    assert health.last_errors[0].message == "error since then"


def test_changes_of_a_clock_that_is_ahead_have_not_happened_yet() -> None:
    health = judge((NOW + timedelta(seconds=1), "error"), before="connected")
    assert health.last_errors == ()


_STEPS = st.lists(st.tuples(st.floats(0, 10 * 86_400), st.sampled_from(STATES)), max_size=20)


@given(_STEPS, st.sampled_from(STATES), st.floats(0, 10 * 86_400))
def test_fractions_are_fractions(steps: list[tuple[float, str]], before: str, age: float) -> None:
    ordered = sorted(((ago(seconds=seconds), state) for seconds, state in steps))
    health = judge(*ordered, before=before, created_at=ago(seconds=age))
    for uptime in health.uptimes:
        length = min(WINDOWS[uptime.window].total_seconds(), age)
        assert 0.0 <= uptime.connected_seconds <= uptime.wanted_seconds + 1e-6
        assert uptime.wanted_seconds <= length + 1e-6 or any(seconds > age for seconds, _ in steps)
        fraction = uptime.uptime_fraction
        assert fraction is None or 0.0 <= fraction <= 1.0 + 1e-9

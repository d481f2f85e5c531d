from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.clock_check import (
    CONFIRMED_AFTER_SECONDS,
    QUIET_AFTER_SECONDS,
    SPREAD_SECONDS,
    ClockWatch,
    WatchedClock,
)
from accounts.core.zones import broker_zone, to_broker_epoch

START = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
ZONE = "Europe/Prague"


def clock_of(zone: str = ZONE, login: int = 1) -> WatchedClock:
    return WatchedClock(UUID(int=login), "Example-Demo", login, zone)


class Market:
    """Ticks of a broker whose clock keeps `zone`, `ahead` seconds off; time stands still alone."""

    def __init__(self, *, ahead: float = 0.0, zone: str = ZONE, start: datetime = START) -> None:
        self.watch = ClockWatch()
        self.watch.watch([clock_of()])
        self.zone, self.ahead = broker_zone(zone), ahead
        self.start, self.seconds, self.tick_msc = start, 0.0, 0

    def run(self, seconds: float, *, ticks: bool = True, step: float = 1.0) -> float:
        """Let time pass, and return what is known of the clock then."""
        known = float("nan")
        for _ in range(round(seconds / step)):
            self.seconds += step
            known = self.look(ticks=ticks)
        return known

    def look(self, *, ticks: bool = True) -> float:
        now = self.start + timedelta(seconds=self.seconds)
        if ticks:
            shown = to_broker_epoch(now.timestamp(), self.zone) + self.ahead
            self.tick_msc = round(shown * 1000)
        offsets = self.watch.offsets(np.array([self.tick_msc]), np.array([True]), now, self.seconds)
        return float(offsets[0])


def test_it_knows_nothing_before_ticks_have_confirmed_it() -> None:
    market = Market(ahead=3600.0)
    # The first tick may be an old one; the second is the first that is known to be new.
    assert np.isnan(market.run(1 + CONFIRMED_AFTER_SECONDS))
    assert market.run(1) == 3600.0


@given(st.integers(-14 * 3600, 14 * 3600))
def test_it_finds_any_offset(ahead: int) -> None:
    assert Market(ahead=float(ahead)).run(30) == pytest.approx(ahead, abs=0.01)


def test_a_quiet_market_says_nothing() -> None:
    market = Market(ahead=3600.0)
    market.run(30)
    assert market.run(QUIET_AFTER_SECONDS, ticks=False) == 3600.0
    assert np.isnan(market.run(1, ticks=False))
    assert np.isnan(market.run(CONFIRMED_AFTER_SECONDS))
    assert market.run(2) == 3600.0


def test_what_a_terminal_catches_up_on_is_no_clock() -> None:
    market = Market()
    for hours in (40, 30, 20, 10):
        market.ahead = -hours * 3600.0
        assert np.isnan(market.run(4))
    market.ahead = 0.0
    assert np.isnan(market.run(CONFIRMED_AFTER_SECONDS))
    assert market.run(2) == 0.0


@pytest.mark.parametrize(
    ("late", "is_known"),
    [(SPREAD_SECONDS - 0.1, True), (SPREAD_SECONDS, True), (SPREAD_SECONDS + 0.1, False)],
)
def test_ticks_may_be_a_little_late(late: float, is_known: bool) -> None:
    market = Market()
    market.run(30)
    market.ahead = -late
    assert np.isnan(market.run(6, step=6.0)) is not is_known


@pytest.mark.parametrize(
    "change",
    [datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=UTC)],
)
def test_daylight_saving_is_no_disagreement(change: datetime) -> None:
    market = Market(start=change - timedelta(seconds=60))
    for _ in range(120):
        offset = market.run(1)
        assert np.isnan(offset) or offset == 0.0
    assert offset == 0.0


def test_a_broker_that_keeps_american_summer_time_differs_for_some_weeks() -> None:
    # New York has set its clocks forward, Prague has not yet.
    between = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
    market = Market(zone="America/New_York+7h", start=between)
    assert market.run(30) == 2 * 3600.0
    market = Market(zone="America/New_York+6h", start=START)
    assert market.run(30) == 0.0


def test_another_zone_or_login_begins_anew() -> None:
    market = Market(ahead=3600.0)
    market.run(30)
    market.watch.watch([clock_of(login=2), clock_of()])
    now = START + timedelta(seconds=30)
    ticks, is_new = np.array([0, market.tick_msc]), np.array([False, False])
    offsets = market.watch.offsets(ticks, is_new, now, 30.0)
    assert np.isnan(offsets[0])
    assert offsets[1] == 3600.0
    market.watch.watch([clock_of("UTC")])
    assert np.isnan(market.run(CONFIRMED_AFTER_SECONDS))


def test_it_follows_no_clocks() -> None:
    watch = ClockWatch()
    watch.watch([])
    none = watch.offsets(np.zeros(0, np.int64), np.zeros(0, bool), START, 0.0)
    assert len(none) == 0

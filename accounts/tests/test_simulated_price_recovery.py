"""Bars and ticks after a restart: those that closed, and those that were growing."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.prices.history import PriceHistory
from accounts.terminals.simulated.prices.recovery import PriceRecovery
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.terminals.simulated.symbols.hours import DAY, MINUTE
from accounts.tests.simulated_desk import Clock, Desk

NOON = 1_795_003_200  # Wednesday, 18 November 2026
EURUSD = CONTRACT_INDEX["EURUSD"]


def rates(desk: Desk, symbol: str, timeframe: int, count: int) -> Any:
    return desk.server.call("rates", 1001, symbol, timeframe, None, None, 0, count)


@pytest.mark.parametrize("timeframe", [mt5.TIMEFRAME_M1, mt5.TIMEFRAME_H1])
def test_it_goes_on_with_bars_after_a_crash_as_they_were(tmp_path: Path, timeframe: int) -> None:
    desk = Desk(feed=True, speed=60.0, home=tmp_path)
    desk.open_account()
    for _ in range(250):
        desk.clock.now += 1.0
        desk.server.step()
    before = rates(desk, "EURUSD", timeframe, 20)

    again = Desk(feed=True, speed=60.0, home=_copied(tmp_path), clock=desk.clock)

    after = rates(again, "EURUSD", timeframe, 20)
    assert after[:-1].tolist() == before[:-1].tolist()
    present = ["time", "open", "high", "low", "close", "spread"]
    assert after[-1][present].tolist() == before[-1][present].tolist()
    assert before["high"][-1] > before["low"][-1]
    desk.server.close()
    again.server.close()


@pytest.mark.parametrize("ends_cleanly", [True, False])
def test_it_shows_the_same_bars_after_a_restart_on_a_weekend(
    tmp_path: Path, ends_cleanly: bool
) -> None:
    friday_night = datetime(2026, 11, 20, 21, 57, tzinfo=UTC).timestamp()  # a minute to go
    clock = Clock(friday_night)
    desk = Desk(feed=True, home=tmp_path, clock=clock)
    desk.open_account()
    for _ in range(20):
        clock.now += 5.0
        desk.server.step()
    before = rates(desk, "EURUSD", mt5.TIMEFRAME_M1, 20_000)
    clock.now += DAY
    desk.server.step()
    if ends_cleanly:
        desk.server.close()

    again = Desk(feed=True, home=_copied(tmp_path), clock=clock)

    after = rates(again, "EURUSD", mt5.TIMEFRAME_M1, 20_000)
    assert after["time"].tolist() == before["time"].tolist()
    assert after[["high", "low", "close"]].tolist() == before[["high", "low", "close"]].tolist()
    again.server.close()


def test_its_times_never_run_backwards_when_it_comes_back_in_a_repeated_hour(
    tmp_path: Path,
) -> None:
    clock = Clock(datetime(2026, 10, 25, 0, 58, tzinfo=UTC).timestamp())  # 02:58, twice
    desk = Desk(feed=True, home=tmp_path, clock=clock, zone_name="Europe/Prague")
    desk.open_account()
    for _ in range(60):
        clock.now += 10.0
        desk.server.step()
    before = rates(desk, "BTCUSD", mt5.TIMEFRAME_M1, 10)
    newest_msc = desk.server.call("symbol_tick", 1001, "BTCUSD")[5]

    again = Desk(feed=True, home=_copied(tmp_path), clock=clock, zone_name="Europe/Prague")
    assert again.server.call("symbol_tick", 1001, "BTCUSD")[5] == newest_msc
    clock.now += 10.0
    again.server.step()

    after = rates(again, "BTCUSD", mt5.TIMEFRAME_M1, 10)
    assert after["time"].tolist() == before["time"].tolist()
    assert after["high"][-1] >= before["high"][-1]
    ticks = again.server.call("ticks", 1001, "BTCUSD", 0, None, 100_000, mt5.COPY_TICKS_ALL)
    assert (np.diff(ticks["time_msc"]) >= 0).all()
    desk.server.close()
    again.server.close()


class TestPriceRecovery:
    """Prices of one minute, of which the journal knows what it wrote about once a second."""

    def recovered(self, *prices: tuple[float, float], closed_at: int | None = None) -> Any:
        history = PriceHistory()
        recovery = PriceRecovery(history, [[1.0, 1.1]] * len(CONTRACTS))
        if closed_at is not None:
            recovery.close_bar(EURUSD, (closed_at, 1.0, 1.0, 1.0, 1.0, 1, 10, 0))
        for seconds, bid in prices:
            quotes = [[1.0, 1.1]] * len(CONTRACTS)
            quotes[EURUSD] = [bid, 1.1]
            recovery.take(round((NOON + seconds) * 1000), quotes)
        recovery.finish()
        bars, others = (
            history.symbols[symbol].bars(mt5.TIMEFRAME_M1) for symbol in (EURUSD, EURUSD + 1)
        )
        assert bars is not None
        assert others is not None
        assert len(others) == 0
        return bars[["time", "high", "low", "close"]]

    def test_it_grows_a_bar_again(self) -> None:
        bars = self.recovered((1, 1.01), (2, 1.03), (3, 0.99), (4, 1.02))
        assert bars.tolist() == [(NOON, 1.03, 0.99, 1.02)]

    def test_it_takes_a_price_that_did_not_move_for_no_tick(self) -> None:
        assert len(self.recovered((1, 1.0), (2, 1.0))) == 0

    def test_it_begins_a_bar_after_one_that_closed_even_at_the_same_price(self) -> None:
        bars = self.recovered((61, 1.0), closed_at=NOON)
        assert bars["time"].tolist() == [NOON, NOON + MINUTE]

    def test_it_adds_nothing_to_a_bar_that_closed(self) -> None:
        bars = self.recovered((59.99, 1.2), (60.5, 1.1), closed_at=NOON)
        assert bars.tolist() == [(NOON, 1.0, 1.0, 1.0), (NOON + MINUTE, 1.2, 1.1, 1.1)]


def _copied(home: Path) -> Path:
    """Return a copy of a broker's home as a crash would leave it."""
    copy = home / "copy"
    (copy / "journal").mkdir(parents=True)
    for file in (home / "journal").iterdir():
        (copy / "journal" / file.name).write_bytes(file.read_bytes())
    return copy

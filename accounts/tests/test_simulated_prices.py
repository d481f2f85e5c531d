"""Prices of the simulated broker: exports, replay, random walk, bars and ticks."""

from pathlib import Path

import numpy as np
import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.terminals.simulated.exports import ExportError, read_bars, read_folder
from accounts.terminals.simulated.feeds import RandomWalk, Replay
from accounts.terminals.simulated.history import SymbolHistory
from accounts.terminals.simulated.market import Market
from accounts.tests.simulated_desk import Desk

HEADER = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
UP = "2025.11.03\t00:00:00\t1.1\t1.3\t1.0\t1.2\t9\t0\t10"
DOWN = "2025.11.03\t00:01:00\t1.2\t1.4\t1.0\t1.1\t9\t0\t20"
REAL_BARS = Path(__file__).parents[2].parent / "shared" / "data" / "bars"
EURUSD = CONTRACT_INDEX["EURUSD"]


def _export(folder: Path, *lines: str, name: str = "EURUSD_M1_202511030000_202511142359.csv",
            encoding: str = "utf-8") -> Path:  # fmt: skip
    path = folder / name
    path.write_bytes("\r\n".join((*lines, "")).encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_it_reads_an_export(tmp_path: Path, encoding: str) -> None:
    export = read_bars(_export(tmp_path, HEADER, UP, DOWN, encoding=encoding))
    assert export.symbol == "EURUSD"
    assert export.bars["time"].tolist() == [1_762_128_000, 1_762_128_060]
    assert export.bars["spread"].tolist() == [10, 20]
    assert export.bars[0]["close"] == 1.2


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        ((UP,), 1, "first line"),
        ((HEADER,), 1, "no bar"),
        ((HEADER, UP, "2025.11.03\t00:01:00\t1.1"), 3, "9 columns"),
        ((HEADER, UP.replace("1.3", "x")), 2, "cannot be read"),
        ((HEADER, UP.replace("1.3", "nan")), 2, "does not hold"),
        ((HEADER, UP.replace("1.3", "inf")), 2, "does not hold"),
        ((HEADER, UP.replace("1.3", "1.15")), 2, "does not hold"),
        ((HEADER, UP.replace("2025.11.03", "03.11.2025")), 2, "cannot be read"),
        ((HEADER, DOWN, UP), 3, "not later"),
    ],
)
def test_it_says_what_is_wrong_with_an_export(
    tmp_path: Path, lines: tuple[str, ...], line: int, reason: str
) -> None:
    with pytest.raises(ExportError, match=reason) as wrong:
        read_bars(_export(tmp_path, *lines))
    assert wrong.value.line == line
    assert "EURUSD_M1" in str(wrong.value)


def test_it_refuses_other_files(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="name"):
        read_bars(_export(tmp_path, HEADER, UP, name="bars.csv"))
    binary = tmp_path / "GBPUSD_M1.csv"
    binary.write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(ExportError, match="text"):
        read_bars(binary)
    with pytest.raises(ExportError, match=r"^nowhere: there is no folder"):
        read_folder(tmp_path / "nowhere")


def test_it_plays_a_bar_as_the_tester_does(tmp_path: Path) -> None:
    export = read_bars(_export(tmp_path, HEADER, UP, DOWN))
    replay = Replay({"EURUSD": export}, speed=60.0, start_fraction=0.0)
    assert replay.first_quotes() == [(EURUSD, 1.1, 1.1001)]

    ticks = [tick for quotes in replay.advance(1.75) for tick in quotes]

    assert [bid for _, bid, _ in ticks] == [1.0, 1.3, 1.2, 1.2, 1.4, 1.0, 1.1]
    assert [round((ask - bid) / 0.00001) for _, bid, ask in ticks] == [10] * 3 + [20] * 4


def test_it_begins_again_where_it_ended(tmp_path: Path) -> None:
    export = read_bars(_export(tmp_path, HEADER, UP, DOWN.replace("\t1.1\t9", "\t1.2\t9")))
    replay = Replay({"EURUSD": export}, speed=60.0, start_fraction=0.0)
    bids = [tick[1] for quotes in replay.advance(1.75 + 2.0) for tick in quotes]
    factor = 1.2 / 1.1
    assert bids[6] == 1.2
    assert bids[7] == pytest.approx(1.2)
    assert bids[8] == pytest.approx(1.0 * factor, abs=1e-5)

    later = [tick[1] for quotes in replay.advance(2.0) for tick in quotes]
    assert later[-1] == pytest.approx(1.2 * factor * factor, abs=1e-5)


def test_it_goes_on_from_a_saved_place(tmp_path: Path) -> None:
    export = read_bars(_export(tmp_path, HEADER, UP, DOWN))
    first, second = (Replay({"EURUSD": export}, speed=60.0) for _ in range(2))
    first.advance(0.8)
    second.resume(first.state(), [])
    assert first.advance(3.0) == second.advance(3.0)


def test_it_starts_a_replay_from_the_prices_of_the_books(tmp_path: Path) -> None:
    export = read_bars(_export(tmp_path, HEADER, UP, DOWN))
    replay = Replay({"EURUSD": export}, speed=60.0, start_fraction=0.0)
    replay.resume(None, [[2.2, 2.2001]])
    assert replay.advance(0.25)[0][0][1] == pytest.approx(2.0)


def test_it_skips_what_came_up_in_a_long_pause(tmp_path: Path) -> None:
    export = read_bars(_export(tmp_path, HEADER, UP, DOWN))
    replay = Replay({"EURUSD": export}, speed=60.0, start_fraction=0.0)
    rounds = replay.advance(10_000.0)
    assert len(rounds) <= 240
    assert replay.advance(0.25)


@pytest.mark.skipif(not REAL_BARS.is_dir(), reason="the real bar exports are not here")
def test_it_replays_real_exports() -> None:
    exports = read_folder(REAL_BARS)
    assert {name: len(export.bars) for name, export in exports.items()} == {
        "EURUSD": 14385, "GBPUSD": 14386, "USDCAD": 14381
    }  # fmt: skip
    desk = Desk(feed=True, exports=exports, speed=60.0)
    login = desk.open_account()
    before = desk.server.call("symbol_tick", login, "EURUSD")
    desk.clock.now += 10.0
    desk.server.step()
    after = desk.server.call("symbol_tick", login, "EURUSD")
    assert before[1] != after[1]
    assert after[1] == pytest.approx(1.15, rel=0.02)
    bars = desk.server.call("rates", login, "EURUSD", mt5.TIMEFRAME_M1, None, None, 1, 2_000)
    assert len(bars) == 2_000
    assert (np.diff(bars["time"]) == 60).all()


def test_it_walks_the_same_way_for_the_same_seed() -> None:
    walks = [RandomWalk([0, 3], seed) for seed in (5, 5, 6)]
    paths = [[walk.advance(0.5) for _ in range(50)] for walk in walks]
    assert paths[0] == paths[1] != paths[2]
    for quotes in (round_ for path in paths for step in path for round_ in step):
        for symbol, bid, ask in quotes:
            spread = round((ask - bid) / CONTRACTS[symbol].point)
            assert 0 <= spread - CONTRACTS[symbol].spread_points <= 2


def test_it_walks_with_the_volatility_of_the_symbol() -> None:
    walk = RandomWalk([EURUSD], 1, speed=60.0)
    bids = np.array([walk.advance(1.0)[0][0][1] for _ in range(4_000)])
    annual = np.std(np.diff(np.log(bids))) * np.sqrt(252 * 1440)
    assert annual == pytest.approx(CONTRACTS[EURUSD].annual_volatility, rel=0.1)


def test_it_keeps_a_cross_at_the_ratio_of_its_legs() -> None:
    market = Market(1, speed=60.0)
    quotes = [[contract.start_bid, contract.start_bid] for contract in CONTRACTS]
    for _ in range(200):
        for tick in market.advance(1.0, quotes)[0]:
            quotes[tick[0]] = [tick[1], tick[2]]
    mids = {contract.name: sum(quotes[index]) / 2 for index, contract in enumerate(CONTRACTS)}
    assert mids["EURGBP"] == pytest.approx(mids["EURUSD"] / mids["GBPUSD"], abs=2e-5)


def test_it_leaves_a_price_alone_that_was_set_by_hand() -> None:
    desk = Desk(feed=True, speed=60.0)
    login = desk.open_account()
    desk.server.set_prices("EURUSD", 1.5, 1.5001)
    desk.clock.now += 5
    desk.server.step()
    assert desk.server.call("symbol_tick", login, "EURUSD")[1] == 1.5

    desk.server.release_prices("EURUSD")
    desk.clock.now += 5
    desk.server.step()
    released = desk.server.call("symbol_tick", login, "EURUSD")
    assert released[1] != 1.5
    assert released[1] == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize(("bid", "ask"), [(0.0, 1.0), (1.1, 1.0), (-1.0, 1.0)])
def test_it_takes_no_nonsense_for_a_price(bid: float, ask: float) -> None:
    with pytest.raises(ValueError, match="no quote"):
        Desk().server.set_prices("EURUSD", bid, ask)


def test_it_writes_times_in_the_brokers_zone() -> None:
    desk = Desk(zone_name="America/New_York+7h")
    login = desk.open_account()
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    assert desk.server.call("symbol_tick", login, "EURUSD")[0] == desk.clock.now + 2 * 3600
    assert desk.server.server_time() == desk.clock.now + 2 * 3600


def test_it_builds_bars_from_its_ticks() -> None:
    history = SymbolHistory(0.00001)
    for second, bid in [(0, 1.10), (20, 1.12), (59, 1.09), (60, 1.11), (3_600, 1.2)]:
        history.tick((1_795_003_200 + second) * 1000, bid, bid + 0.0002)

    minutes = history.bars(mt5.TIMEFRAME_M1)
    hours = history.bars(mt5.TIMEFRAME_H1)

    assert minutes is not None
    assert hours is not None
    assert minutes["close"].tolist() == [1.09, 1.11, 1.2]
    assert minutes[0].tolist() == (1_795_003_200, 1.10, 1.12, 1.09, 1.09, 3, 20, 0)
    assert hours["time"].tolist() == [1_795_003_200, 1_795_006_800]
    assert hours[0].tolist() == (1_795_003_200, 1.10, 1.12, 1.09, 1.11, 4, 20, 0)
    assert history.bars(7) is None
    assert all(
        len(bars) >= 1
        for frame in (5, 15, 30, mt5.TIMEFRAME_H4, mt5.TIMEFRAME_D1, mt5.TIMEFRAME_W1,
                      mt5.TIMEFRAME_MN1)
        if (bars := history.bars(frame)) is not None
    )  # fmt: skip


def test_it_begins_weeks_on_sunday_and_months_on_the_first() -> None:
    history = SymbolHistory(0.00001)
    for day in (18, 21, 22, 31):  # 18 November 2026 is a Wednesday
        history.tick((1_795_003_200 + (day - 18) * 86_400) * 1000, 1.1, 1.1)
    weeks, months = history.bars(mt5.TIMEFRAME_W1), history.bars(mt5.TIMEFRAME_MN1)
    assert weeks is not None
    assert months is not None
    assert weeks["time"].astype("datetime64[s]").astype(str).tolist() == [
        "2026-11-15T00:00:00", "2026-11-22T00:00:00", "2026-11-29T00:00:00"
    ]  # fmt: skip
    assert months["time"].astype("datetime64[s]").astype(str).tolist() == [
        "2026-11-01T00:00:00", "2026-12-01T00:00:00"
    ]  # fmt: skip


def test_it_answers_rates_and_ticks_as_asked() -> None:
    desk = Desk(feed=True, speed=60.0)
    login = desk.open_account()
    for _ in range(300):
        desk.clock.now += 1.0
        desk.server.step()

    def rates(*which: int | None) -> list[int]:
        answer = desk.server.call("rates", login, "EURUSD", mt5.TIMEFRAME_M1, *which)
        return list(answer["time"].tolist())

    everything = rates(None, None, 0, 100_000)
    assert len(everything) > 4_000
    assert everything == sorted(set(everything))
    assert rates(None, None, 0, 3) == everything[-3:]
    assert rates(None, None, 2, 3) == everything[-5:-2]
    assert rates(everything[5], everything[9], None, None) == everything[5:10]
    assert rates(everything[9] + 30, None, None, 2) == everything[8:10]
    assert desk.server.call("rates", login, "XAUUSD", 1, None, None, 0, 5) is None

    ticks = desk.server.call("ticks", login, "EURUSD", 0, None, 5, mt5.COPY_TICKS_ALL)
    assert len(ticks) == 5
    assert ticks["time_msc"].tolist() == sorted(ticks["time_msc"].tolist())
    assert len(desk.server.call("ticks", login, "EURUSD", 0, 2**31, None, 2)) == 0

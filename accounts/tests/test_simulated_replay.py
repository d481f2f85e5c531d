"""Exports of bars and of ticks, and their replay."""

from pathlib import Path

import numpy as np
import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.prices.exports import (
    BarExport,
    ExportError,
    TickExport,
    contract_name,
    read_export,
    read_folder,
)
from accounts.terminals.simulated.prices.feeds import Moment, Quote, Round
from accounts.terminals.simulated.prices.replay import Replay
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.tests.simulated_desk import Desk

HEADER = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
UP = "2025.11.03\t00:00:00\t1.1\t1.3\t1.0\t1.2\t9\t0\t10"
DOWN = "2025.11.03\t00:01:00\t1.2\t1.4\t1.0\t1.1\t9\t0\t20"
TICK_HEADER = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>"
TICK_NAME = "EURUSD_202511030000_202511142359.csv"
TICKS = (
    "2025.11.03\t00:00:01.250\t1.10000\t\t\t\t2",
    "2025.11.03\t00:00:02.000\t\t1.10012\t\t\t4",
    "2025.11.03\t00:00:02.000\t1.10005\t\t\t\t2",
    "2025.11.03\t00:00:30.500\t1.10020\t1.10029\t\t\t6",
    "2025.11.05\t09:00:00.001\t1.10100\t1.10110\t\t\t6",
)
REAL_BARS = Path(__file__).parents[2].parent / "shared" / "data" / "bars"
EURUSD = CONTRACT_INDEX["EURUSD"]
NOON = 1_795_003_200  # a Wednesday


def _open(_share: float) -> Moment:
    return Moment(NOON, [True] * len(CONTRACTS))


def _closed(_share: float) -> Moment:
    return Moment(NOON, [False] * len(CONTRACTS))


def _bids(rounds: list[Round]) -> list[float]:
    return [quote.bid for round_ in rounds for quote in round_.quotes]


def _export(folder: Path, *lines: str, name: str = "EURUSD_M1_202511030000_202511142359.csv",
            encoding: str = "utf-8") -> Path:  # fmt: skip
    path = folder / name
    path.write_bytes("\r\n".join((*lines, "")).encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_it_reads_an_export(tmp_path: Path, encoding: str) -> None:
    export = read_export(_export(tmp_path, HEADER, UP, DOWN, encoding=encoding))
    assert isinstance(export, BarExport)
    assert export.symbol == "EURUSD"
    assert export.bars["time"].tolist() == [1_762_128_000, 1_762_128_060]
    assert export.bars["spread"].tolist() == [10, 20]
    assert export.bars[0]["close"] == 1.2


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        ((), 1, "first line"),
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
        read_export(_export(tmp_path, *lines))
    assert wrong.value.line == line
    assert "EURUSD_M1" in str(wrong.value)


def test_it_refuses_other_files(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="name"):
        read_export(_export(tmp_path, HEADER, UP, name="bars.csv"))
    binary = tmp_path / "GBPUSD_M1.csv"
    binary.write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(ExportError, match="text"):
        read_export(binary)
    with pytest.raises(ExportError, match=r"^nowhere: there is no folder"):
        read_folder(tmp_path / "nowhere")


def test_it_plays_a_bar_as_the_tester_does(tmp_path: Path) -> None:
    export = read_export(_export(tmp_path, HEADER, UP, DOWN))
    replay = Replay({"EURUSD": export}, speed=60.0, start_fraction=0.0)
    assert replay.first_quotes() == [Quote(EURUSD, 1.1, 1.1001)]

    rounds = replay.advance(1.75, _open)

    assert _bids(rounds) == [1.0, 1.3, 1.2, 1.2, 1.4, 1.0, 1.1]
    spreads = [round((q.ask - q.bid) / 0.00001) for round_ in rounds for q in round_.quotes]
    assert spreads == [10] * 3 + [20] * 4
    assert [round_.at for round_ in rounds] == pytest.approx([n / 7 for n in range(1, 8)])


def test_it_begins_again_where_it_ended(tmp_path: Path) -> None:
    export = read_export(_export(tmp_path, HEADER, UP, DOWN.replace("\t1.1\t9", "\t1.2\t9")))
    replay = Replay({"EURUSD": export}, speed=60.0, start_fraction=0.0)
    bids = _bids(replay.advance(1.75 + 2.0, _open))
    factor = 1.2 / 1.1
    assert bids[6] == 1.2
    assert bids[7] == pytest.approx(1.2)
    assert bids[8] == pytest.approx(1.0 * factor, abs=1e-5)

    later = _bids(replay.advance(2.0, _open))
    assert later[-1] == pytest.approx(1.2 * factor * factor, abs=1e-5)


def test_it_goes_on_from_a_saved_place(tmp_path: Path) -> None:
    export = read_export(_export(tmp_path, HEADER, UP, DOWN))
    first, second = (Replay({"EURUSD": export}, speed=60.0) for _ in range(2))
    first.advance(0.8, _open)
    second.resume(first.state(), [])
    assert first.advance(3.0, _open) == second.advance(3.0, _open)


def test_it_starts_a_replay_from_the_prices_of_the_books(tmp_path: Path) -> None:
    export = read_export(_export(tmp_path, HEADER, UP, DOWN))
    replay = Replay({"EURUSD": export}, speed=60.0, start_fraction=0.0)
    replay.resume(None, [[2.2, 2.2001]])
    assert _bids(replay.advance(0.25, _open))[0] == pytest.approx(2.0)


def test_it_skips_what_came_up_in_a_long_pause(tmp_path: Path) -> None:
    export = read_export(_export(tmp_path, HEADER, UP, DOWN))
    replay = Replay({"EURUSD": export}, speed=60.0, start_fraction=0.0)
    rounds = replay.advance(10_000.0, _open)
    assert len(rounds) <= 240
    assert replay.advance(0.25, _open)


@pytest.mark.skipif(not REAL_BARS.is_dir(), reason="the real bar exports are not here")
def test_it_replays_real_exports() -> None:
    exports = read_folder(REAL_BARS)
    bars = {name: len(export.minute_bars()) for name, export in exports.items()}
    assert bars == {
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
    assert (np.diff(bars["time"]) >= 60).all()
    assert set(np.diff(bars["time"]).tolist()) == {60, 300}  # closed around midnight


def test_it_reads_ticks_with_empty_sides(tmp_path: Path) -> None:
    export = read_export(_export(tmp_path, TICK_HEADER, *TICKS, name=TICK_NAME))
    assert isinstance(export, TickExport)
    assert export.symbol == "EURUSD"
    ticks = export.ticks
    # The first line has no ask yet.
    assert (ticks["time_msc"] % 86_400_000).tolist() == [2_000, 2_000, 30_500, 32_400_001]
    assert ticks["bid"].tolist() == [1.1, 1.10005, 1.1002, 1.101]
    assert ticks["ask"].tolist() == [1.10012, 1.10012, 1.10029, 1.1011]
    bars = export.minute_bars()
    assert bars["time"].tolist() == [1_762_128_000, 1_762_128_000 + 57 * 3600]
    assert bars[0].tolist()[1:] == (1.1, 1.1002, 1.1, 1.1002, 3, 7, 0)


def test_it_reads_the_trades_of_an_exchange(tmp_path: Path) -> None:
    lines = ("2025.11.03\t16:30:00.000\t503.20\t503.25\t503.25\t40\t62",
             "2025.11.03\t16:30:00.500\t503.21\t\t\t\t2")  # fmt: skip
    name = "MSFT_202511030000_202511142359.csv"
    export = read_export(_export(tmp_path, TICK_HEADER, *lines, name=name))
    assert isinstance(export, TickExport)
    assert export.ticks["volume"].tolist() == [40, 0]
    assert export.ticks["side"].tolist() == [mt5.TICK_FLAG_BUY, 0]
    assert export.ticks["last"].tolist() == [503.25, 503.25]


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        ((HEADER, UP), 1, "<BID>"),
        ((TICK_HEADER,), 1, "no tick"),
        ((TICK_HEADER, TICKS[0]), 2, "no tick with a bid and an ask"),
        ((TICK_HEADER, TICKS[3].replace("\t6", "")), 2, "7 columns"),
        ((TICK_HEADER, TICKS[3].replace("1.10020", "x")), 2, "cannot be read"),
        ((TICK_HEADER, TICKS[3].replace("1.10020", "nan")), 2, "no number"),
        ((TICK_HEADER, TICKS[3].replace("00:00:30.500", "00:00:60.500")), 2, "cannot be read"),
        ((TICK_HEADER, TICKS[3].replace("00:00:30.500", "0:30")), 2, "is no time"),
        ((TICK_HEADER, TICKS[3].replace("1.10020", "1.10030")), 2, "bid ≤ ask"),
        ((TICK_HEADER, TICKS[3].replace("\t\t\t6", "\t\tinf\t6")), 2, "cannot be read"),
        ((TICK_HEADER, TICKS[3], TICKS[1]), 3, "earlier"),
    ],
)
def test_it_says_what_is_wrong_with_ticks(
    tmp_path: Path, lines: tuple[str, ...], line: int, reason: str
) -> None:
    with pytest.raises(ExportError, match=reason) as wrong:
        read_export(_export(tmp_path, *lines, name=TICK_NAME))
    assert wrong.value.line == line
    assert TICK_NAME in str(wrong.value)


def test_it_plays_ticks_at_their_own_times_and_leaves_gaps_out(tmp_path: Path) -> None:
    export = read_export(_export(tmp_path, TICK_HEADER, *TICKS, name=TICK_NAME))
    replay = Replay({"EURUSD": export}, start_fraction=0.0)
    rounds = replay.advance(40.0, _open)
    assert [round_.at * 40 for round_ in rounds] == pytest.approx([2.0, 30.5])
    assert rounds[0].quotes == [Quote(EURUSD, 1.10005, 1.10012)]
    assert rounds[1].quotes == [Quote(EURUSD, 1.1002, 1.10029)]
    (later,) = replay.advance(25.0, _open)  # two days later in the file, a minute later here
    assert later.at * 25 == pytest.approx(20.001)
    assert later.quotes == [Quote(EURUSD, 1.101, 1.1011)]


def test_it_waits_while_the_market_is_closed(tmp_path: Path) -> None:
    export = read_export(_export(tmp_path, HEADER, UP, DOWN))
    replay, other = (Replay({"EURUSD": export}, speed=60.0) for _ in range(2))
    assert replay.advance(1.0, _closed) == []
    assert replay.advance(1.0, _open) == other.advance(1.0, _open)


@pytest.mark.parametrize(
    ("listed", "contract"),
    [("EURUSD", "EURUSD"), ("EURUSD.r", "EURUSD"), ("EURUSDm", "EURUSD"), ("eurusd", "EURUSD"),
     ("GOLD.pro", "GOLD"), ("US500.cash", "US500"), ("XAUEUR", "XAUEUR"), ("GOLDEN", "GOLDEN"),
     ("AAPL-x", "AAPL")],
)  # fmt: skip
def test_it_knows_whose_file_it_is(tmp_path: Path, listed: str, contract: str) -> None:
    assert contract_name(listed) == contract
    name = f"{listed}_M1_202511030000_202511142359.csv"
    assert read_export(_export(tmp_path, HEADER, UP, name=name)).symbol == contract


def test_it_takes_one_file_per_contract(tmp_path: Path) -> None:
    _export(tmp_path, HEADER, UP, name="EURUSD.r_M1_202511030000_202511142359.csv")
    _export(tmp_path, TICK_HEADER, *TICKS, name=TICK_NAME)
    with pytest.raises(ExportError, match="another file for EURUSD"):
        read_folder(tmp_path)


def test_it_seeds_a_past_that_leads_up_to_a_replay(tmp_path: Path) -> None:
    _export(tmp_path, TICK_HEADER, *TICKS, name=TICK_NAME)
    desk = Desk(feed=True, exports=read_folder(tmp_path))
    login = desk.open_account()
    assert desk.server.call("symbol_tick", login, "EURUSD")[1] == 1.1
    days = desk.server.call("rates", login, "EURUSD", mt5.TIMEFRAME_D1, None, None, 0, 3_000)
    assert len(days) > 1_200
    assert days["close"][-1] == 1.1

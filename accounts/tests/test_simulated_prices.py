"""The simulated broker's walking market: seeds, sessions, gaps, news, crosses, prices by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from accounts.terminals.simulated.prices.feeds import Moment, Quote
from accounts.terminals.simulated.prices.market import Market
from accounts.terminals.simulated.prices.walk import RandomWalk, WalkParameters
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.terminals.simulated.symbols.hours import DAY
from accounts.tests.simulated_desk import Clock, Desk

EURUSD, XAUUSD, GOLD = (CONTRACT_INDEX[name] for name in ("EURUSD", "XAUUSD", "GOLD"))
NOON = 1_795_003_200  # a Wednesday
QUIET = WalkParameters(news_per_day=0.0)


def _open(_share: float) -> Moment:
    return Moment(NOON, [True] * len(CONTRACTS))


def _closed(_share: float) -> Moment:
    return Moment(NOON, [False] * len(CONTRACTS))


def _at(wall_seconds: int) -> Moment:
    return Moment(wall_seconds, [True] * len(CONTRACTS))


def _path(walk: RandomWalk, steps: int, seconds: float = 1.0) -> list[list[Quote]]:
    return [round_.quotes for _ in range(steps) for round_ in walk.advance(seconds, _open)]


def _start() -> list[Sequence[float]]:
    return [[contract.start_bid, contract.start_bid] for contract in CONTRACTS]


def test_it_walks_the_same_way_for_the_same_seed() -> None:
    paths = [_path(RandomWalk([0, 3], seed), 50, 0.5) for seed in (5, 5, 6)]
    assert paths[0] == paths[1] != paths[2]


def test_it_walks_the_same_way_whoever_walks_beside_it() -> None:
    alone = _path(RandomWalk([3], 5), 300)
    in_company = _path(RandomWalk([0, 1, 3, 20], 5), 300)
    assert [quotes[0] for quotes in alone] == [quotes[2] for quotes in in_company]


def test_it_walks_with_the_volatility_of_the_symbol() -> None:
    walk = RandomWalk([EURUSD], 1, speed=60.0)
    bids = np.array([quotes[0].bid for quotes in _path(walk, 20_000)])
    minutes_a_year = 52.18 * (5 * 1436 + (7 * 1440 - 5 * 1436) * 0.25)
    annual = np.std(np.diff(np.log(bids))) * np.sqrt(minutes_a_year)
    assert annual == pytest.approx(CONTRACTS[EURUSD].annual_volatility, rel=0.15)


def test_it_quotes_on_ticks_with_a_spread() -> None:
    walk = RandomWalk(range(len(CONTRACTS)), 1, speed=60.0, parameters=QUIET)
    for quotes in _path(walk, 200):
        for quote in quotes:
            contract = CONTRACTS[quote.symbol]
            for price in (quote.bid, quote.ask):
                ticks = price / contract.tick_size
                assert ticks == pytest.approx(round(ticks), abs=1e-6)
                assert price == round(price, contract.digits)
            extra = (quote.ask - quote.bid) / contract.point - contract.spread_points
            assert -1e-6 <= extra <= max(2.0, contract.tick_size / contract.point) + 1e-6


def test_it_goes_on_from_a_saved_state_as_if_nothing_had_been() -> None:
    first, second = (RandomWalk([0, 16, 20], 5, speed=60.0) for _ in range(2))
    quotes = _start()
    for _ in range(400):
        for quote in first.advance(1.0, _open)[0].quotes:
            quotes[quote.symbol] = [quote.bid, quote.ask]
    first.advance(30.0, _closed)
    second.resume(first.state(), quotes)
    assert _path(first, 300) == _path(second, 300)


@pytest.mark.parametrize("state", [None, [["1", "2"], None], [0, [0.1], [], []]])
def test_it_starts_at_the_prices_of_the_books_from_any_other_state(state: object) -> None:
    walk = RandomWalk([0, 3], 5)
    quotes = _start()
    quotes[0] = [2.5, 2.5001]
    walk.resume(state, quotes)
    assert walk.advance(0.1, _open)[0].quotes[0].bid == pytest.approx(2.5, rel=1e-3)


def test_it_is_silent_while_closed_and_opens_with_a_gap() -> None:
    gaps, moves = [], []
    for seed in range(40):
        walk, other = (RandomWalk([EURUSD], seed, parameters=QUIET) for _ in range(2))
        (before,) = walk.advance(1.0, _open)
        assert walk.advance(2.0 * DAY, _closed) == []
        (after,) = walk.advance(1.0, _open)
        gaps.append(np.log(after.quotes[0].bid / before.quotes[0].bid))
        moves.append(np.log(_path(other, 2)[1][0].bid / before.quotes[0].bid))
    two_days = CONTRACTS[EURUSD].annual_volatility / np.sqrt(52.18 * 5.5) * np.sqrt(2 * 0.25)
    # A good part of two days' quarter: prices are pulled home a little over that time.
    assert 0.5 * two_days < np.std(gaps) < 1.2 * two_days
    assert np.std(moves) < np.std(gaps) / 50


def test_it_passes_a_long_pause_in_few_rounds() -> None:
    market = Market(1, speed=60.0)
    rounds = market.advance(30.0 * DAY, _start(), _open)
    assert len(rounds) <= 240
    assert [round_.at for round_ in rounds] == sorted({round_.at for round_ in rounds})
    for quote in rounds[-1].quotes:
        assert 0.2 < quote.bid / CONTRACTS[quote.symbol].start_bid < 5.0


def test_it_has_news_that_jump_and_widen_the_spread_for_a_while() -> None:
    often = WalkParameters(news_per_day=24.0)
    walk = RandomWalk([EURUSD], 3, speed=60.0, parameters=often)
    spreads = [round((q.ask - q.bid) * 1e5) for (q,) in _path(walk, 3_000)]
    usual = CONTRACTS[EURUSD].spread_points
    events = [n for n in range(1, 3_000) if spreads[n] >= usual * 5.5 > spreads[n - 1]]
    assert 25 <= len(events) <= 75  # 50 hours with an event each
    lonely = [n for n in events if not any(n < other < n + 45 for other in events) and n < 2_900]
    for event in lonely:
        fading = spreads[event : event + 40]
        assert fading[5] < fading[0]  # a half-life later
        assert fading[-1] <= usual + 2
    assert lonely


def test_it_widens_the_spread_around_the_rollover() -> None:
    def spread(wall_seconds: int) -> int:
        walk = RandomWalk([EURUSD], 1, parameters=QUIET)
        (round_,) = walk.advance(1.0, lambda _share: _at(wall_seconds))
        return round((round_.quotes[0].ask - round_.quotes[0].bid) * 1e5)

    midnight, usual = NOON - 12 * 3600, CONTRACTS[EURUSD].spread_points
    assert spread(midnight - 600) <= usual + 2
    assert spread(midnight - 599) >= usual * 4
    assert spread(midnight) >= usual * 4
    assert spread(midnight + 599) >= usual * 4
    assert spread(midnight + 600) <= usual + 2


def test_it_trades_on_exchanges_and_nowhere_else() -> None:
    walk = RandomWalk(range(len(CONTRACTS)), 1, speed=60.0)
    trades: dict[str, list[Quote]] = {}
    for quotes in _path(walk, 300):
        for quote in quotes:
            if quote.volume:
                trades.setdefault(CONTRACTS[quote.symbol].name, []).append(quote)
    assert set(trades) == {"MSFT", "NQH30"}
    assert 120 < len(trades["MSFT"]) < 240
    for quote in trades["MSFT"]:
        assert quote.last == (quote.ask if quote.side == 32 else quote.bid)
        assert quote.volume >= 1


@pytest.mark.parametrize("cross", ["EURGBP", "AUDNZD", "EURJPY", "GBPJPY", "EURCHF"])
def test_it_keeps_a_cross_with_its_legs(cross: str) -> None:
    market = Market(1, speed=60.0)
    quotes = _start()
    for _ in range(200):
        for quote in market.advance(1.0, quotes, _open)[0].quotes:
            quotes[quote.symbol] = [quote.bid, quote.ask]
    mids = {contract.name: sum(quotes[index]) / 2 for index, contract in enumerate(CONTRACTS)}
    base, other = cross[:3], cross[3:]
    expected = _dollars(mids, base) / _dollars(mids, other)
    assert mids[cross] == pytest.approx(expected, abs=CONTRACTS[CONTRACT_INDEX[cross]].point * 2)


def _dollars(mids: dict[str, float], currency: str) -> float:
    direct = mids.get(f"{currency}USD")
    return direct if direct is not None else 1.0 / mids[f"USD{currency}"]


def test_it_gives_symbols_that_share_a_price_the_same_quotes() -> None:
    market = Market(1, speed=60.0)
    quotes = {quote.symbol: quote for quote in market.advance(1.0, _start(), _open)[0].quotes}
    assert quotes[GOLD][1:3] == quotes[XAUUSD][1:3]

    desk = Desk()
    login = desk.open_account()
    desk.server.set_prices("GOLD", 4_000.0, 4_000.5)
    assert desk.server.call("symbol_tick", login, "XAUUSD")[1:3] == (4_000.0, 4_000.5)


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


def test_it_remembers_over_a_restart_what_was_set_by_hand(tmp_path: Path) -> None:
    desk = Desk(feed=True, home=tmp_path)
    desk.open_account()
    desk.server.set_prices("EURUSD", 1.5, 1.5001)
    desk.server.set_market_open("GBPUSD", False)
    desk.server.set_quotes("USDCHF", False)
    desk.server.close()

    again = Desk(feed=True, home=tmp_path)
    again.clock.now += 5
    again.server.step()
    assert again.server.call("symbol_tick", 1001, "EURUSD")[1] == 1.5
    assert again.buy(1001, 0.01, "EURUSD")
    assert again.market(1001, 0, 0.01, "GBPUSD")[0] == 10018
    assert again.market(1001, 0, 0.01, "USDCHF")[0] == 10021


def test_it_goes_on_after_a_restart_with_a_gap_for_the_time_that_it_was_down(
    tmp_path: Path,
) -> None:
    def restarted_after(seconds: float, home: Path) -> float:
        desk = Desk(feed=True, home=home)
        desk.open_account()
        desk.clock.now += 5
        desk.server.step()
        before = desk.server.call("symbol_tick", 1001, "BTCUSD")[1]
        desk.server.close()
        clock = Clock(desk.clock.now + seconds)
        again = Desk(feed=True, home=home, clock=clock)
        clock.now += 0.5
        again.server.step()
        after = again.server.call("symbol_tick", 1001, "BTCUSD")[1]
        again.server.close()
        return abs(float(np.log(after / before)))

    assert restarted_after(0.0, tmp_path / "short") < 0.0005
    assert restarted_after(10.0 * DAY, tmp_path / "long") > 0.005


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

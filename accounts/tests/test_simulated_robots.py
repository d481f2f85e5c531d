"""The trading robots: a desk that looks alive, and stays alive."""

from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.robots.specs import RobotSpec
from accounts.terminals.simulated.robots.strategies import STRATEGIES
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.tests.simulated_desk import Desk


def _desk(*robots: dict[str, Any], seed: int = 1) -> Desk:
    desk = Desk(feed=True, speed=60.0, seed=seed)
    for number, robot in enumerate(robots):
        desk.open_account(1001 + number, deposit=100_000.0, robot=robot)
    return desk


def _run(desk: Desk, seconds: float, step_seconds: float = 0.5) -> None:
    for _ in range(int(seconds / step_seconds)):
        desk.clock.now += step_seconds
        desk.server.step()


def test_it_opens_positions_within_a_minute_or_two() -> None:
    desk = _desk(*({"strategy": name} for name in STRATEGIES))
    _run(desk, 120)
    for login in range(1001, 1001 + len(STRATEGIES)):
        assert any(deal["entry"] == mt5.DEAL_ENTRY_IN and deal["volume"] > 0
                   for deal in desk.deals(login)), login  # fmt: skip
        assert len(desk.positions(login)) <= 6


def test_it_trades_only_its_own_positions() -> None:
    desk = _desk({"strategy": "grid"})
    mine = desk.buy(1001, 0.01, "NZDUSD", magic=0)
    _run(desk, 300)
    assert mine in [position["ticket"] for position in desk.positions(1001)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_spares_sane_accounts_while_others_get_into_trouble(seed: int) -> None:
    sane = [{"strategy": name} for name in STRATEGIES if name not in ("reckless", "overtrader")]
    desk = _desk(*sane, {"strategy": "overtrader"}, seed=seed)
    troubled = 1001 + len(sane)

    _run(desk, 180)

    assert desk.account(troubled)["equity"] < 97_000.0
    for login in range(1001, troubled):
        assert desk.account(login)["equity"] > 97_000.0


def test_it_lets_nobody_but_the_reckless_ruin_an_account() -> None:
    desk = _desk(*({"strategy": name} for name in STRATEGIES if name != "reckless"))
    _run(desk, 1800, step_seconds=2.0)
    for login in range(1001, 1000 + len(STRATEGIES)):
        assert desk.account(login)["equity"] > 70_000.0
        assert all(deal["reason"] != mt5.DEAL_REASON_SO for deal in desk.deals(login))


def test_it_dares_less_after_losses() -> None:
    desk = _desk({"strategy": "holder", "symbols": ["EURUSD"], "max_positions": 1},
                 {"strategy": "holder", "symbols": ["EURUSD"], "max_positions": 1})  # fmt: skip
    desk.server.correct(1002, -5_000.0)
    _run(desk, 30)
    (full,), (cautious,) = desk.positions(1001), desk.positions(1002)
    assert cautious["volume"] < full["volume"] / 3


def test_it_stops_when_the_account_is_ruined_and_when_it_is_told_to() -> None:
    desk = _desk({"strategy": "scalper"}, {"strategy": "scalper"})
    desk.server.correct(1001, -80_000.0)
    desk.server.set_robot(1002, None)
    _run(desk, 60)
    assert desk.positions(1001) == desk.positions(1002) == []
    desk.server.set_robot(1002, {"strategy": "holder"})
    _run(desk, 60)
    assert desk.positions(1002) != []


def test_it_trades_on_while_the_owners_terminal_may_not() -> None:
    desk = _desk({"strategy": "holder"})
    desk.server.set_algo_trading(1001, False)
    _run(desk, 30)
    assert desk.positions(1001) != []


def test_it_trades_gold_indices_and_crypto_within_their_terms() -> None:
    symbols = ["XAUUSD", "GER40", "US500", "BTCUSD", "EURJPY"]
    desk = _desk(*({"strategy": "scalper", "symbols": [symbol]} for symbol in symbols))
    _run(desk, 240)
    for login, symbol in enumerate(symbols, start=1001):
        contract = CONTRACTS[CONTRACT_INDEX[symbol]]
        opened = [deal for deal in desk.deals(login) if deal["symbol"] == symbol]
        assert opened, symbol
        for deal in opened:
            assert deal["volume"] >= contract.volume_min
            value = deal["volume"] * contract.unit_value * deal["price"]
            if contract.quote == "USD" and deal["entry"] == mt5.DEAL_ENTRY_IN:
                assert value <= 100_000.0 * 2.6


def test_it_leaves_out_what_is_too_large_for_it() -> None:
    desk = Desk(feed=True, speed=60.0)
    robot = {"strategy": "scalper", "symbols": ["ESH30"]}
    desk.open_account(1001, deposit=10_000.0, robot=robot)  # a lot is worth 337,000
    _run(desk, 60)
    assert [deal for deal in desk.deals(1001) if deal["symbol"]] == []


def test_it_sends_nothing_while_the_market_is_closed() -> None:
    desk = _desk({"strategy": "holder", "symbols": ["EURUSD"]})
    desk.server.set_market_open("EURUSD", False)
    _run(desk, 60)
    assert desk.positions(1001) == []
    desk.server.set_market_open("EURUSD", None)
    _run(desk, 60)
    assert len(desk.positions(1001)) == 1


@pytest.mark.parametrize(
    "plain",
    [{}, {"strategy": "oracle"}, {"strategy": "grid", "symbols": ["XAUEUR"]},
     {"strategy": "grid", "symbols": []}, {"strategy": "grid", "color": "red"}],
)  # fmt: skip
def test_it_refuses_a_spec_that_is_none(plain: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="robot"):
        RobotSpec.of(plain)

"""Missed resets at brokers of other habits: names of their own, one position a symbol."""

from uuid import UUID

import pytest

from accounts.core.zones import broker_zone
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.server import DEFAULT_ZONE
from accounts.tests.simulated_desk import SERVER, START, Desk
from risk.missed_resets import ResetAnswer, ResetRequest, work_out_reset

SYMBOL = "EURUSD.r"
NETTING, HEDGING = (
    mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING,
    mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING,
)
SEEN = 40.0  # seconds between two prices, so that the reset has a minute of its own


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.server.create_server(SERVER, suffix=".r")
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    return desk


def move(desk: Desk, bid: float) -> None:
    desk.clock.now += SEEN
    desk.server.set_prices("EURUSD", bid, round(bid + 0.0002, 5))


def worked_out(desk: Desk, login: int, reset: float) -> ResetAnswer:
    batch = desk.server.read_batch([login], [0])
    return work_out_reset(
        desk.server,
        ResetRequest(
            account_id=UUID(int=1),
            login=login,
            reset=reset,
            broker_zone=broker_zone(DEFAULT_ZONE),
            last_deal=int(batch.accounts["last_deal"][0]),
            positions=batch.positions,
            symbols=batch.symbols,
        ),
    )


@pytest.mark.parametrize("mode", [NETTING, HEDGING])
def test_it_values_what_floated_before_the_account_turned_round(desk: Desk, mode: int) -> None:
    login = desk.open_account(margin_mode=mode)
    desk.buy(login, 0.2, SYMBOL)
    move(desk, 1.1010)
    desk.buy(login, 0.2, SYMBOL)
    move(desk, 1.1030)
    reset = desk.clock.now = START - START % 60 + 600
    desk.server.set_prices("EURUSD", 1.1030, 1.1032)
    floated = desk.account(login)["profit"]
    assert floated > 0
    desk.clock.now += 120
    desk.sell(login, 1.0, SYMBOL)
    move(desk, 1.0950)
    assert len(desk.positions(login)) == (1 if mode == NETTING else 3)

    answer = worked_out(desk, login, reset)

    assert answer.floating is not None
    assert not answer.was_flat
    assert answer.floating.lower == pytest.approx(floated, abs=0.02)
    assert answer.floating.upper == pytest.approx(floated, abs=0.02)


def test_it_knows_that_a_netting_account_was_flat(desk: Desk) -> None:
    login = desk.open_account(margin_mode=NETTING)
    desk.buy(login, 0.2, SYMBOL)
    desk.sell(login, 0.5, SYMBOL)
    desk.buy(login, 0.3, SYMBOL)
    desk.clock.now += 300
    reset = desk.clock.now - desk.clock.now % 60
    desk.clock.now += 300
    desk.sell(login, 0.4, SYMBOL)

    answer = worked_out(desk, login, reset)

    assert answer.was_flat
    assert answer.floating is not None
    assert (answer.floating.lower, answer.floating.upper) == (0.0, 0.0)

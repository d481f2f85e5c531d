"""Stop losses, take profits and stop-outs of the simulated broker."""

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.tests.simulated_desk import Desk

POINT = 0.00001


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.open_account(1001)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    return desk


@pytest.mark.parametrize(
    ("side", "levels", "untouched", "touched", "reason"),
    [
        # A long closes on the bid, whatever the ask does; a short on the ask.
        ("buy", {"sl": 1.0990}, (1.09901, 1.2), (1.0990, 1.2), mt5.DEAL_REASON_SL),
        ("buy", {"tp": 1.1010}, (1.10099, 1.2), (1.1010, 1.2), mt5.DEAL_REASON_TP),
        ("sell", {"sl": 1.1010}, (1.0, 1.10099), (1.0, 1.1010), mt5.DEAL_REASON_SL),
        ("sell", {"tp": 1.0990}, (1.0, 1.09901), (1.0, 1.0990), mt5.DEAL_REASON_TP),
    ],
)
def test_it_triggers_stops_on_the_right_side_of_the_book(
    side: str,
    levels: dict[str, float],
    untouched: tuple[float, float],
    touched: tuple[float, float],
    reason: int,
) -> None:
    desk = Desk()
    login = desk.open_account(deposit=1_000_000.0)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    ticket = (desk.buy if side == "buy" else desk.sell)(login, 0.1, "EURUSD", **levels)

    desk.server.set_prices("EURUSD", *untouched)
    assert [position["ticket"] for position in desk.positions(login)] == [ticket]

    desk.server.set_prices("EURUSD", *touched)
    assert desk.positions(login) == []
    closing = desk.deals(login)[-1]
    assert (closing["reason"], closing["position"]) == (reason, ticket)
    assert closing["price"] == (touched[0] if side == "buy" else touched[1])
    assert closing["comment"].startswith("[sl" if reason == mt5.DEAL_REASON_SL else "[tp")


def test_it_fills_a_stop_at_the_price_behind_a_gap(desk: Desk) -> None:
    desk.buy(1001, 0.1, sl=1.0990)
    desk.server.set_prices("EURUSD", 1.0950, 1.0952)
    assert desk.deals(1001)[-1]["price"] == 1.0950


def test_it_forgets_a_stop_that_was_moved(desk: Desk) -> None:
    ticket = desk.buy(1001, 0.1, sl=1.0990)
    desk.send(1001, action=mt5.TRADE_ACTION_SLTP, symbol="EURUSD", position=ticket, sl=1.0980)
    desk.server.set_prices("EURUSD", 1.0990, 1.0992)
    assert len(desk.positions(1001)) == 1
    desk.server.set_prices("EURUSD", 1.0980, 1.0982)
    assert desk.positions(1001) == []


@pytest.mark.parametrize(("bid", "survives"), [(1.09451, True), (1.0945, False), (1.09449, False)])
def test_it_stops_out_at_the_level_in_percent(bid: float, survives: bool) -> None:
    # Margin 1,100 at a level of 50 %: out at an equity of 550, which is 550 below the deposit.
    desk = Desk()
    login = desk.open_account(deposit=1_100.0, stop_out_level=50.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.buy(login, 1.0)

    desk.server.set_prices("EURUSD", bid, bid + 0.0001)

    assert bool(desk.positions(login)) == survives
    if not survives:
        assert desk.deals(login)[-1]["reason"] == mt5.DEAL_REASON_SO
        assert desk.account(login)["margin"] == 0.0


@pytest.mark.parametrize(("bid", "survives"), [(1.09201, True), (1.092, False), (1.09199, False)])
def test_it_stops_out_at_the_level_in_money(bid: float, survives: bool) -> None:
    desk = Desk()
    login = desk.open_account(
        deposit=1_100.0, stop_out_mode=mt5.ACCOUNT_STOPOUT_MODE_MONEY, stop_out_level=300.0
    )
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.buy(login, 1.0)
    desk.server.set_prices("EURUSD", bid, bid + 0.0001)
    assert bool(desk.positions(login)) == survives


def test_it_closes_the_largest_loss_first_until_the_level_recovers() -> None:
    desk = Desk()
    login = desk.open_account(deposit=2_000.0, stop_out_level=50.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.server.set_prices("GBPUSD", 1.3, 1.3)
    small = desk.buy(login, 0.2)
    large = desk.buy(login, 1.0)
    other = desk.buy(login, 0.1, "GBPUSD")

    desk.server.set_prices("EURUSD", 1.0890, 1.0890)

    assert [position["ticket"] for position in desk.positions(login)] == [small, other]
    closing = desk.deals(login)[-1]
    assert (closing["position"], closing["reason"]) == (large, mt5.DEAL_REASON_SO)
    assert closing["comment"].startswith("[so ")
    assert desk.account(login)["margin_level"] > 50.0


def test_it_stops_out_only_the_account_in_need() -> None:
    desk = Desk()
    poor, rich = desk.open_account(1, deposit=1_200.0), desk.open_account(2, deposit=50_000.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.buy(poor, 1.0)
    desk.buy(rich, 1.0)
    desk.server.set_prices("EURUSD", 1.09, 1.09)
    assert desk.positions(poor) == []
    assert len(desk.positions(rich)) == 1


@pytest.mark.parametrize("shut", ["set_market_open", "set_quotes"])
def test_it_triggers_nothing_while_there_is_no_trading(desk: Desk, shut: str) -> None:
    ticket = desk.buy(1001, 0.1, sl=1.0990)
    getattr(desk.server, shut)("EURUSD", False)
    desk.server.set_prices("EURUSD", 1.0970, 1.0972)
    assert [position["ticket"] for position in desk.positions(1001)] == [ticket]
    getattr(desk.server, shut)("EURUSD", True)
    desk.server.set_prices("EURUSD", 1.0960, 1.0962)
    assert desk.positions(1001) == []
    assert desk.deals(1001)[-1]["price"] == 1.0960

"""What the back office refuses: amounts, terms and prices that the books could not live with."""

import math
from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.administration import LARGEST_AMOUNT, LARGEST_PRICE_POINTS
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

NO_AMOUNTS = (math.nan, math.inf, -math.inf, 1e308, LARGEST_AMOUNT * 1.001)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.open_account(1001)
    return desk


@pytest.mark.parametrize("amount", NO_AMOUNTS)
def test_it_moves_no_impossible_amount(desk: Desk, amount: float) -> None:
    ticket = desk.buy(1001, 0.1)
    before = desk.server.fingerprint()
    for move in (desk.server.deposit, desk.server.credit, desk.server.bonus, desk.server.correct):
        with pytest.raises(ValueError, match="no amount"):
            move(1001, amount)
    with pytest.raises(ValueError, match="no amount"):
        desk.server.charge_swap(ticket, amount)
    assert desk.server.fingerprint() == before


def test_it_moves_the_largest_amount(desk: Desk) -> None:
    desk.server.deposit(1001, LARGEST_AMOUNT)
    assert desk.account(1001)["balance"] == LARGEST_AMOUNT + 10_000.0


@pytest.mark.parametrize(
    "terms",
    [
        {"deposit": math.nan},
        {"deposit": -1.0},
        {"deposit": 1e308},
        {"stop_out_level": math.nan},
        {"stop_out_call": math.inf},
        {"commission_per_lot": math.nan},
        {"leverage": 0},
        {"leverage": 2.5},
        {"leverage": 2**31},
        {"margin_mode": 3},
        {"trade_mode": -1},
        {"stop_out_mode": 2},
        {"position_limit": -1},
        {"order_limit": 2**31},
    ],
)
def test_it_opens_no_account_on_impossible_terms(desk: Desk, terms: dict[str, Any]) -> None:
    before = desk.server.fingerprint()
    with pytest.raises(ValueError, match=r"is no|not below"):
        desk.server.create_account(1002, PASSWORD, SERVER, "B", **terms)
    assert desk.server.fingerprint() == before


def test_it_takes_the_highest_price_and_no_higher_one(tmp_path: Path) -> None:
    desk = Desk(home=tmp_path)
    desk.server.set_prices("EURUSD", 0.00001, LARGEST_PRICE_POINTS / 1e5)
    for ask in (LARGEST_PRICE_POINTS / 1e5 + 0.00001, 1e15, 1e308):
        with pytest.raises(ValueError, match="is no quote"):
            desk.server.set_prices("EURUSD", 1.0, ask)
    desk.server.close()
    again = Desk(home=tmp_path)
    again.open_account(1001)
    assert again.server.call("symbol_tick", 1001, "EURUSD")[2] == LARGEST_PRICE_POINTS / 1e5


def test_it_refuses_a_price_beyond_all_numbers(desk: Desk) -> None:
    for price in (1e308, 1e306):
        result = desk.market(1001, mt5.ORDER_TYPE_BUY, 0.1, "EURJPY", price=price)
        assert result[0] == mt5.TRADE_RETCODE_INVALID_PRICE


def test_it_names_a_term_that_no_account_has(desk: Desk) -> None:
    with pytest.raises(ValueError, match="an account has no depositt"):
        desk.open_account(1002, depositt=5.0)


@pytest.mark.parametrize(
    "odd", [{"comment": "half \ud800"}, {"symbol": "\udfff"}, {"position": math.inf}]
)
def test_a_request_that_no_terminal_would_send_changes_nothing(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    desk = Desk(home=tmp_path)
    desk.open_account(1001)
    before = desk.server.fingerprint()
    with pytest.raises(ValueError, match=r"number that is none|surrogates not allowed"):
        desk.market(1001, mt5.ORDER_TYPE_BUY, 0.1, **odd)
    assert desk.server.fingerprint() == before
    desk.buy(1001, 0.1)

"""Margin, profit, conversions and balances of the simulated broker."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.terminals.simulated.symbols.contracts import CURRENCIES
from accounts.terminals.simulated.symbols.conversion import Conversion
from accounts.terminals.simulated.trading.margin import Leg, symbol_margin
from accounts.terminals.simulated.trading.requests import (
    Refusal,
    check_volume,
    floor_to_step,
    subtract_lots,
)
from accounts.tests.simulated_desk import Desk

EURUSD = CONTRACTS[CONTRACT_INDEX["EURUSD"]]
BUY, SELL = mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("symbol", "price", "lots", "leverage", "margin"),
    [
        ("EURUSD", 1.08774, 0.1, 100, 108.77),
        ("USDCHF", 0.9, 0.01, 100, 10.00),
        ("NZDUSD", 0.5888, 0.01, 400, 1.47),
    ],
)
def test_it_takes_the_margin_that_real_servers_take(
    desk: Desk, symbol: str, price: float, lots: float, leverage: int, margin: float
) -> None:
    login = desk.open_account(leverage=leverage)
    desk.server.set_prices(symbol, price, price)

    asked = desk.server.call("order_calc_margin", login, mt5.ORDER_TYPE_BUY, symbol, lots, price)
    desk.buy(login, lots, symbol)

    assert asked == margin
    assert desk.account(login)["margin"] == margin


def test_it_takes_the_margin_of_one_lot_for_one_lot_each_way(desk: Desk) -> None:
    login = desk.open_account(deposit=100_000.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.buy(login, 1.0)
    one_lot = desk.account(login)["margin"]

    desk.sell(login, 1.0)

    assert desk.account(login)["margin"] == one_lot == 1100.0


def test_it_takes_the_uncovered_part_at_the_rate_of_the_larger_side() -> None:
    long, short = Leg(), Leg()
    long.add(3.0, 1100.0)
    short.add(1.0, 1200.0)

    covered_average = (3 * 1100 + 1200) / 4
    expected = 2 * 1100 + 1 * covered_average
    assert symbol_margin(EURUSD, long, short) == pytest.approx(expected)


def test_it_takes_the_larger_leg_where_the_contract_says_so() -> None:
    contract = replace(EURUSD, margin_hedged_use_leg=True)
    long, short = Leg(), Leg()
    long.add(3.0, 1100.0)
    short.add(1.0, 1100.0)
    assert symbol_margin(contract, long, short) == pytest.approx(3 * 1100)


def test_it_keeps_the_margin_of_a_position_while_the_price_moves(desk: Desk) -> None:
    login = desk.open_account()
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.buy(login, 0.1)

    desk.server.set_prices("EURUSD", 1.2, 1.2)

    assert desk.account(login)["margin"] == 110.0


def test_it_reports_a_margin_level_of_zero_without_margin(desk: Desk) -> None:
    account = desk.account(desk.open_account())
    assert (account["margin"], account["margin_level"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("side", "bid", "ask", "profit"),
    [
        # 20 pips of yen: a gain is sold at the ask of USDJPY, a loss bought at its bid.
        (mt5.ORDER_TYPE_BUY, 150.20, 150.30, round(20_000 / 150.30, 2)),
        (mt5.ORDER_TYPE_SELL, 150.10, 150.20, round(-20_000 / 150.10, 2)),
    ],
)
def test_it_converts_gains_and_losses_at_the_worse_side(
    desk: Desk, side: int, bid: float, ask: float, profit: float
) -> None:
    login = desk.open_account()
    desk.server.set_prices("USDJPY", 150.0, 150.0)
    desk.market(login, side, 1.0, "USDJPY")

    desk.server.set_prices("USDJPY", bid, ask)

    assert desk.positions(login)[0]["profit"] == profit


def test_it_converts_through_the_dollar_where_there_is_no_pair(desk: Desk) -> None:
    login = desk.open_account(currency="CAD")
    desk.server.set_prices("USDCAD", 1.36, 1.3603)
    desk.server.set_prices("USDJPY", 150.0, 150.0)
    desk.buy(login, 1.0, "USDJPY")

    desk.server.set_prices("USDJPY", 150.2, 150.3)

    assert desk.positions(login)[0]["profit"] == round(20_000 / 150.3 * 1.36, 2)


def test_it_converts_by_the_pair_of_the_two_currencies_where_there_is_one(desk: Desk) -> None:
    login = desk.open_account(currency="GBP")
    desk.server.set_prices("GBPJPY", 190.0, 190.1)
    desk.server.set_prices("USDJPY", 150.0, 150.0)
    desk.buy(login, 1.0, "USDJPY")

    desk.server.set_prices("USDJPY", 150.2, 150.3)

    assert desk.positions(login)[0]["profit"] == round(20_000 / 190.1, 2)


def test_it_closes_a_part_and_keeps_the_ticket(desk: Desk) -> None:
    login = desk.open_account(commission_per_lot=4.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    ticket = desk.buy(login, 1.0)
    desk.server.charge_swap(ticket, -5.0)
    desk.server.set_prices("EURUSD", 1.101, 1.1012)

    desk.sell(login, 0.29, position=ticket)

    (left,) = desk.positions(login)
    assert (left["ticket"], left["volume"], left["swap"]) == (ticket, 0.71, -3.55)
    assert left["profit"] == 71.0
    closing = desk.deals(login)[-1]
    assert closing["entry"] == mt5.DEAL_ENTRY_OUT
    assert (closing["volume"], closing["profit"], closing["swap"]) == (0.29, 29.0, -1.45)
    assert closing["commission"] == -1.16
    assert closing["position"] == ticket


def test_it_gives_the_same_result_in_parts_as_at_once(desk: Desk) -> None:
    whole, parts = desk.open_account(1), desk.open_account(2)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    first, second = desk.buy(whole, 1.0), desk.buy(parts, 1.0)
    desk.server.set_prices("EURUSD", 1.105, 1.105)

    desk.sell(whole, 1.0, position=first)
    for lots in (0.29, 0.57, 0.14):
        desk.sell(parts, lots, position=second)

    assert desk.positions(whole) == desk.positions(parts) == []
    assert desk.account(whole)["balance"] == desk.account(parts)["balance"] == 10_500.0


def test_it_books_transfers_where_they_belong(desk: Desk) -> None:
    login = desk.open_account(deposit=1000.0)
    desk.server.deposit(login, 500.0)
    desk.server.withdraw(login, 200.0)
    desk.server.credit(login, 300.0)
    desk.server.bonus(login, 50.0)
    desk.server.correct(login, -25.5)

    account = desk.account(login)
    assert (account["balance"], account["credit"]) == (1324.5, 300.0)
    assert account["equity"] == 1624.5
    assert [deal["type"] for deal in desk.deals(login)] == [
        mt5.DEAL_TYPE_BALANCE, mt5.DEAL_TYPE_BALANCE, mt5.DEAL_TYPE_BALANCE,
        mt5.DEAL_TYPE_CREDIT, mt5.DEAL_TYPE_BONUS, mt5.DEAL_TYPE_CORRECTION,
    ]  # fmt: skip


@pytest.mark.parametrize("amount", [0.0, -5.0, float("nan"), float("inf")])
def test_it_moves_no_amount_that_is_none(desk: Desk, amount: float) -> None:
    login = desk.open_account()
    for move in (desk.server.deposit, desk.server.withdraw):
        with pytest.raises(ValueError, match="no amount"):
            move(login, amount)
    assert desk.account(login)["balance"] == 10_000.0


@pytest.mark.parametrize("lots", [0.01, 0.29, 0.57, 0.58, 1.13, 100.0])
def test_it_takes_volumes_that_are_whole_steps(lots: float) -> None:
    check_volume(EURUSD, lots)


@pytest.mark.parametrize("lots", [0.0, -0.1, 0.009, 0.015, 0.2901, 100.01, float("inf")])
def test_it_refuses_other_volumes(lots: float) -> None:
    with pytest.raises(Refusal) as refused:
        check_volume(EURUSD, lots)
    assert refused.value.retcode == mt5.TRADE_RETCODE_INVALID_VOLUME


@given(st.integers(0, 10_000), st.floats(0.0, 0.0099))
def test_it_rounds_volumes_down_to_the_step(hundredths: int, dust: float) -> None:
    assert floor_to_step(hundredths / 100, 0.01) == hundredths / 100
    assert floor_to_step(hundredths / 100 + dust, 0.01) == hundredths / 100


@given(st.integers(2, 10_000), st.integers(1, 9_999))
def test_it_subtracts_lots_without_dust(held: int, closed: int) -> None:
    closed = min(closed, held)
    left = subtract_lots(held / 100, closed / 100)
    assert Decimal(str(left)) == Decimal(held - closed) / 100


_LEGS = st.lists(st.tuples(st.integers(1, 5_000), st.floats(0.01, 1e6)), max_size=4)


@given(_LEGS, _LEGS, st.floats(0.0, 1.0), st.booleans())
def test_it_never_takes_more_for_a_hedge_than_for_both_legs(
    buys: list[tuple[int, float]], sells: list[tuple[int, float]], share: float, use_leg: bool
) -> None:
    contract = replace(EURUSD, margin_hedged=share * 100_000, margin_hedged_use_leg=use_leg)
    long, short = Leg(), Leg()
    for leg, positions in ((long, buys), (short, sells)):
        for hundredths, per_lot in positions:
            leg.add(hundredths / 100, per_lot)
    margin = symbol_margin(contract, long, short)
    assert 0 <= margin <= (long.margin + short.margin) * (1 + 1e-12)
    if use_leg:
        assert margin == max(long.margin, short.margin)
    if not sells:
        assert margin == pytest.approx(long.margin)


@given(st.lists(st.tuples(st.floats(0.2, 5.0), st.floats(0.0, 0.01)), min_size=len(CONTRACTS),
                max_size=len(CONTRACTS)))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_it_converts_no_money_into_more(moves: list[tuple[float, float]]) -> None:
    """There and back costs the spread; a loss never costs less than a gain brings."""
    conversion = Conversion()
    bid = np.array([contract.start_bid for contract in CONTRACTS])
    spread = np.array([width for _, width in moves])
    for index, contract in enumerate(CONTRACTS):
        if "USD" in (contract.base, contract.quote):
            bid[index] *= moves[index][0]
    conversion.update(bid, bid * (1 + spread))
    for source in range(len(CURRENCIES)):
        assert conversion.converted(1.0, source, source) == 1.0
        for target in range(len(CURRENCIES)):
            gained = conversion.converted(1.0, source, target)
            lost = -conversion.converted(-1.0, source, target)
            assert 0 < gained <= lost * (1 + 1e-12)
            back = conversion.converted(gained, target, source)
            assert back <= 1 + 1e-12


@pytest.mark.parametrize(
    ("currency", "lots", "charge"),
    [("USD", 0.29, -1.01), ("USD", 0.01, -0.04), ("JPY", 0.3, -1.0), ("USD", 1.0, -3.5)],
)
def test_it_rounds_the_commission_of_each_deal_to_the_cent(
    desk: Desk, currency: str, lots: float, charge: float
) -> None:
    # 3.50 a lot and side, once for each deal: 1.015 as a double lies below, 0.035 above the half.
    login = desk.open_account(currency=currency, deposit=1_000_000.0, commission_per_lot=3.5)
    ticket = desk.buy(login, lots)
    desk.sell(login, lots, position=ticket)
    assert [deal["commission"] for deal in desk.deals(login)[1:]] == [charge, charge]


def test_it_charges_both_deals_of_a_close_by(desk: Desk) -> None:
    login = desk.open_account(commission_per_lot=3.5)
    long, short = desk.buy(login, 0.5), desk.sell(login, 0.3)
    answer = desk.send(login, action=mt5.TRADE_ACTION_CLOSE_BY, position=long, position_by=short)
    assert answer[0] == mt5.TRADE_RETCODE_DONE, answer
    closing = [deal for deal in desk.deals(login) if deal["entry"] == mt5.DEAL_ENTRY_OUT_BY]
    assert sum(deal["commission"] for deal in closing) == pytest.approx(-2 * 1.05)


_COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "close", "price", "swap", "deposit", "credit"]),
        st.integers(1, 40),
        st.sampled_from(["EURUSD", "USDJPY", "EURGBP"]),
    ),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(_COMMANDS, st.sampled_from(["USD", "EUR", "GBP"]))
def test_it_keeps_its_identities_whatever_happens(
    commands: list[tuple[str, int, str]], currency: str
) -> None:
    desk = Desk()
    login = desk.open_account(currency=currency, commission_per_lot=3.5)
    for name, amount, symbol in commands:
        _carry_out(desk, login, name, amount, symbol)

        account, positions = desk.account(login), desk.positions(login)
        money = [deal for deal in desk.deals(login) if deal["type"] != mt5.DEAL_TYPE_CREDIT]
        booked = sum(d["profit"] + d["swap"] + d["commission"] + d["fee"] for d in money)
        floating = sum(position["profit"] + position["swap"] for position in positions)
        assert account["balance"] == pytest.approx(booked, abs=1e-6)
        assert account["profit"] == pytest.approx(floating, abs=1e-6)
        assert account["equity"] == pytest.approx(
            account["balance"] + account["credit"] + floating, abs=1e-6
        )
        assert account["margin"] >= 0
        assert (account["margin"] > 0) == bool(positions)
        opened = {deal["position"] for deal in desk.deals(login)}
        assert opened >= {position["ticket"] for position in positions}


def _carry_out(desk: Desk, login: int, name: str, amount: int, symbol: str) -> None:
    if name in ("buy", "sell"):
        side = mt5.ORDER_TYPE_BUY if name == "buy" else mt5.ORDER_TYPE_SELL
        desk.market(login, side, amount / 100, symbol)
    elif name == "price":
        tick: Any = desk.server.call("symbol_tick", login, symbol)
        factor = 1 + (amount - 20) / 4000
        desk.server.set_prices(symbol, tick[1] * factor, tick[2] * factor)
    elif name == "deposit":
        desk.server.deposit(login, float(amount))
    elif name == "credit":
        desk.server.credit(login, float(amount))
    elif held := desk.positions(login):
        position = held[amount % len(held)]
        if name == "swap":
            desk.server.charge_swap(position["ticket"], -amount / 10)
        else:
            lots = min(position["volume"], amount / 100)
            desk.market(login, 1 - position["type"], lots, position["symbol"],
                        position=position["ticket"])  # fmt: skip

"""Netting and exchange accounts: one position for each symbol, whatever the orders."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.terminals.simulated import constants as mt5
from accounts.tests.simulated_desk import Desk

BUY, SELL = mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL
IN, OUT, INOUT = mt5.DEAL_ENTRY_IN, mt5.DEAL_ENTRY_OUT, mt5.DEAL_ENTRY_INOUT
NETTING = mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING
MODES = [NETTING, mt5.ACCOUNT_MARGIN_MODE_EXCHANGE]


def _desk(margin_mode: int = NETTING, **terms: Any) -> Desk:
    desk = Desk(always_open=True)
    desk.open_account(1001, **{"margin_mode": margin_mode, "deposit": 100_000.0, **terms})
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    return desk


@pytest.mark.parametrize("mode", MODES)
def test_it_adds_to_the_position_at_the_weighted_price(mode: int) -> None:
    desk = _desk(mode)
    first = desk.buy(1001, 1.0, sl=1.0900, tp=1.1200, magic=1)
    desk.server.set_prices("EURUSD", 1.1040, 1.1042)
    desk.buy(1001, 3.0, sl=1.0950)

    assert desk.account(1001)["margin"] == pytest.approx((1.1002 + 3 * 1.1042) * 1_000, abs=0.005)
    (position,) = desk.positions(1001)

    assert (position["ticket"], position["identifier"], position["volume"]) == (first, first, 4.0)
    assert position["price_open"] == pytest.approx(1.1032, abs=1e-12)
    assert (position["sl"], position["tp"], position["magic"]) == (1.0950, 0.0, 1)
    desk.buy(1001, 0.01, tp=1.1300)
    desk.buy(1001, 0.01)
    assert [(held["sl"], held["tp"]) for held in desk.positions(1001)] == [(0.0, 0.0)]
    desk.sell(1001, 0.02)
    deals = desk.deals(1001)[1:3]
    assert [(deal["entry"], deal["position"], deal["profit"]) for deal in deals] == [
        (IN, first, 0.0), (IN, first, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_it_books_the_closed_part_when_reducing(mode: int) -> None:
    desk = _desk(mode, commission_per_lot=2.0)
    ticket = desk.buy(1001, 1.0, sl=1.09)
    desk.server.set_prices("EURUSD", 1.1052, 1.1054)

    desk.sell(1001, 0.4)

    (position,) = desk.positions(1001)
    assert (position["ticket"], position["volume"], position["sl"]) == (ticket, 0.6, 1.09)
    assert position["price_open"] == 1.1002
    deal = desk.deals(1001)[-1]
    assert (deal["entry"], deal["position"], deal["volume"]) == (OUT, ticket, 0.4)
    assert (deal["profit"], deal["commission"]) == (200.0, -0.8)


@pytest.mark.parametrize("mode", MODES)
def test_it_reverses_with_one_deal(mode: int) -> None:
    desk = _desk(mode)
    ticket = desk.buy(1001, 1.0, sl=1.09, tp=1.12)
    desk.clock.now += 60
    desk.server.set_prices("EURUSD", 1.1052, 1.1054)

    reversal = desk.sell(1001, 1.5, tp=1.08)

    (position,) = desk.positions(1001)
    assert (position["ticket"], position["identifier"]) == (reversal, ticket)
    assert (position["type"], position["volume"], position["price_open"]) == (SELL, 0.5, 1.1052)
    assert (position["sl"], position["tp"]) == (0.0, 1.08)
    deal = desk.deals(1001)[-1]
    assert (deal["entry"], deal["volume"], deal["profit"]) == (INOUT, 1.5, 500.0)
    assert (deal["position"], deal["order"]) == (ticket, reversal)
    assert position["time"] == deal["time"]
    assert desk.done_orders(1001)[-1]["position_id"] == ticket


@pytest.mark.parametrize("mode", MODES)
def test_it_closes_with_the_exact_volume(mode: int) -> None:
    desk = _desk(mode)
    desk.sell(1001, 0.3)
    desk.buy(1001, 0.3)
    assert desk.positions(1001) == []
    assert desk.deals(1001)[-1]["entry"] == OUT
    assert desk.account(1001)["margin"] == 0.0


def test_it_closes_by_ticket_but_never_beyond() -> None:
    desk = _desk()
    ticket = desk.buy(1001, 0.3)
    before = desk.server.fingerprint()
    too_much = desk.market(1001, SELL, 0.31, position=ticket)
    assert too_much[0] == mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME
    assert desk.server.fingerprint() == before
    desk.sell(1001, 0.3, "", position=ticket)
    assert desk.positions(1001) == []


@pytest.mark.parametrize("by_ticket", [True, False])
def test_it_sets_stops_by_symbol_or_ticket(by_ticket: bool) -> None:
    desk = _desk()
    ticket = desk.buy(1001, 0.3)
    named: dict[str, Any] = {"position": ticket} if by_ticket else {"symbol": "EURUSD"}
    result = desk.send(1001, action=mt5.TRADE_ACTION_SLTP, sl=1.09, tp=1.12, **named)
    assert result[0] == mt5.TRADE_RETCODE_DONE
    (position,) = desk.positions(1001)
    assert (position["sl"], position["tp"]) == (1.09, 1.12)


def test_it_has_no_stops_to_set_without_a_position() -> None:
    desk = _desk()
    result = desk.send(1001, action=mt5.TRADE_ACTION_SLTP, symbol="EURUSD", sl=1.09)
    assert result[0] == mt5.TRADE_RETCODE_POSITION_CLOSED


def test_it_knows_no_close_by() -> None:
    desk = _desk()
    ticket = desk.buy(1001, 0.3)
    desk.server.set_prices("GBPUSD", 1.3, 1.3002)
    other = desk.sell(1001, 0.3, "GBPUSD")
    assert desk.close_by(1001, ticket, other)[0] == mt5.TRADE_RETCODE_INVALID
    assert len(desk.positions(1001)) == 2


def test_it_nets_orders_that_waited() -> None:
    desk = _desk()
    ticket = desk.buy(1001, 1.0)
    stop = desk.wait_for(1001, mt5.ORDER_TYPE_SELL_STOP, 1.5, 1.0950)
    desk.server.set_prices("EURUSD", 1.0950, 1.0952)
    (position,) = desk.positions(1001)
    assert (position["ticket"], position["identifier"]) == (stop, ticket)
    assert (position["type"], position["volume"]) == (SELL, 0.5)
    assert desk.deals(1001)[-1]["profit"] == -520.0
    assert desk.done_orders(1001)[-1]["position_id"] == ticket


def test_it_lets_a_reducing_order_through_where_none_may_open() -> None:
    desk = _desk(position_limit=1)
    desk.buy(1001, 1.0)
    desk.server.set_trade_mode("EURUSD", mt5.SYMBOL_TRADE_MODE_CLOSEONLY)
    assert desk.market(1001, BUY, 0.1)[0] == mt5.TRADE_RETCODE_CLOSE_ONLY
    assert desk.market(1001, SELL, 1.1)[0] == mt5.TRADE_RETCODE_CLOSE_ONLY
    assert desk.market(1001, SELL, 0.4)[0] == mt5.TRADE_RETCODE_DONE
    desk.server.set_trade_mode("EURUSD", mt5.SYMBOL_TRADE_MODE_LONGONLY)
    assert desk.market(1001, SELL, 0.7)[0] == mt5.TRADE_RETCODE_LONG_ONLY
    assert desk.market(1001, BUY, 0.1)[0] == mt5.TRADE_RETCODE_DONE
    assert desk.market(1001, SELL, 0.7)[0] == mt5.TRADE_RETCODE_DONE


def test_it_counts_positions_and_not_orders_against_the_limit() -> None:
    desk = _desk(position_limit=1)
    desk.server.set_prices("GBPUSD", 1.3, 1.3002)
    desk.wait_for(1001, mt5.ORDER_TYPE_BUY_LIMIT, 0.1, 1.0990)
    desk.buy(1001, 0.1)
    desk.buy(1001, 0.1)
    desk.wait_for(1001, mt5.ORDER_TYPE_BUY_LIMIT, 0.1, 1.0980)
    assert desk.market(1001, BUY, 0.1, "GBPUSD")[0] == mt5.TRADE_RETCODE_LIMIT_POSITIONS


def test_it_opens_no_position_too_many_when_an_order_is_triggered() -> None:
    desk = _desk(position_limit=1)
    desk.server.set_prices("GBPUSD", 1.3, 1.3002)
    desk.wait_for(1001, mt5.ORDER_TYPE_BUY_LIMIT, 0.1, 1.29, "GBPUSD")
    desk.buy(1001, 0.1)
    desk.server.set_prices("GBPUSD", 1.28, 1.2802)
    assert [position["symbol"] for position in desk.positions(1001)] == ["EURUSD"]
    done = desk.done_orders(1001)[-1]
    assert (done["state"], done["comment"]) == (
        mt5.ORDER_STATE_REJECTED, "[Position limit reached]",
    )  # fmt: skip


def test_it_needs_margin_for_what_is_left_after_a_reversal() -> None:
    desk = _desk(deposit=1_300.0)
    desk.buy(1001, 1.0)
    before = desk.server.fingerprint()
    assert desk.market(1001, SELL, 2.2)[0] == mt5.TRADE_RETCODE_NO_MONEY
    assert desk.server.fingerprint() == before
    assert desk.market(1001, SELL, 2.1)[0] == mt5.TRADE_RETCODE_DONE


@dataclass
class Reference:
    """What one position should be after some trades, worked out trade by trade in fractions."""

    lots: Decimal = Decimal(0)  # below zero: short
    cost: Decimal = Decimal(0)  # lots × price of what is open
    profit: Decimal = Decimal(0)
    entries: list[int] = field(default_factory=list)

    def trade(self, signed_lots: Decimal, price: Decimal) -> None:
        if self.lots * signed_lots >= 0:
            self.lots += signed_lots
            self.cost += signed_lots * price
            self.entries.append(IN)
            return
        average = self.cost / self.lots
        closed = min(abs(self.lots), abs(signed_lots)) * (1 if self.lots > 0 else -1)
        self.profit += (price - average) * closed * 100_000
        self.entries.append(INOUT if abs(signed_lots) > abs(self.lots) else OUT)
        rest = self.lots + signed_lots
        is_turned = rest * self.lots < 0
        self.cost = rest * (price if is_turned else average)
        self.lots = rest


TRADES = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        st.integers(1, 60).map(lambda steps: round(steps * 0.01, 2)),
        st.integers(-500, 500),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(trades=TRADES)
def test_it_agrees_with_a_slow_reference(trades: list[tuple[int, float, int]]) -> None:
    desk = _desk()
    expected = Reference()
    for side, lots, moved in trades:
        price = round(1.1 + moved * 0.00001, 5)
        desk.server.set_prices("EURUSD", price, price)
        result = desk.market(1001, side, lots)
        assert result[0] == mt5.TRADE_RETCODE_DONE
        signed = Decimal(str(lots)) * (1 if side == BUY else -1)
        expected.trade(signed, Decimal(str(price)))

        held = desk.positions(1001)
        assert len(held) == (expected.lots != 0)
        if held:
            assert held[0]["volume"] == float(abs(expected.lots))
            assert held[0]["type"] == (BUY if expected.lots > 0 else SELL)
            average = float(expected.cost / expected.lots)
            assert held[0]["price_open"] == pytest.approx(average, abs=1e-10)
    deals = desk.deals(1001)
    assert [deal["entry"] for deal in deals[1:]] == expected.entries
    booked = sum(deal["profit"] for deal in deals[1:])
    assert booked == pytest.approx(float(expected.profit), abs=0.005 * len(trades) + 1e-6)
    assert desk.account(1001)["balance"] == pytest.approx(100_000 + booked, abs=1e-6)

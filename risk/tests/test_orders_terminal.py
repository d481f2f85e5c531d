"""What a terminal's answers prove, and what an order looks like on its way to it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.symbol_terms import SymbolTerms
from accounts.terminals.link import LinkError, LinkTimeout
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind, FaultSpec
from accounts.tests.simulated_desk import SERVER, Desk
from risk.models import Order
from risk.orders import requests, retcodes
from risk.orders.completion import closing_volume
from risk.orders.drafts import is_our_tag, new_tag
from risk.orders.outcomes import answered
from risk.orders.requests import filling_mode, trade_request
from risk.orders.terminal import AccountTerminal, SendResult
from risk.tests.test_orders_services import TERMS

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
ZONE = "America/New_York+7h"


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.open_account(1001)
    desk.open_account(1002)
    return desk


@pytest.fixture
def terminal(desk: Desk) -> AccountTerminal:
    return AccountTerminal(desk.server, 1001, SERVER)


def test_nothing_open_is_believed_beside_no_margin(terminal: AccountTerminal) -> None:
    assert terminal.positions() == []
    assert terminal.pending_orders() == []


def test_it_reads_positions_orders_and_deals(desk: Desk, terminal: AccountTerminal) -> None:
    desk.buy(1001, 0.29, sl=1.0, magic=7)
    ticket = desk.wait_for(1001, mt5.ORDER_TYPE_BUY_LIMIT, 0.57, 1.0, magic=8)
    (position,) = terminal.positions()
    assert (position.volume, position.stop_loss, position.magic) == (Decimal("0.29"), 1.0, 7)
    assert position.is_buy
    (order,) = terminal.pending_orders()
    assert (order.ticket, order.volume_left, order.magic) == (ticket, Decimal("0.57"), 8)
    (deal,) = [each for each in terminal.history_deals(0, 2**31) if each.symbol]
    assert (deal.volume, deal.magic, deal.entry) == (Decimal("0.29"), 7, 0)
    assert [each.ticket for each in terminal.deals_of_position(position.identifier)] == [
        deal.ticket
    ]
    assert terminal.account().is_hedging


@pytest.mark.parametrize(
    "kind",
    [FaultKind.NONE, FaultKind.EMPTY, FaultKind.CUT_FROM_BROKER, FaultKind.DISCONNECT_TERMINAL],
)
def test_silence_is_never_nothing(desk: Desk, terminal: AccountTerminal, kind: FaultKind) -> None:
    desk.buy(1001, 0.1)
    desk.server.set_fault(1001, kind)
    with pytest.raises(LinkError):
        terminal.positions()
    with pytest.raises(LinkError):
        terminal.pending_orders()


def test_another_accounts_answer_is_none(desk: Desk, terminal: AccountTerminal) -> None:
    desk.buy(1002, 0.1)
    desk.server.set_fault(1001, FaultKind.WRONG_ACCOUNT, peer=1002)
    for ask in (terminal.positions, terminal.pending_orders, terminal.account):
        with pytest.raises(LinkError, match="another account"):
            ask()
    with pytest.raises(LinkError) as caught:
        terminal.send({"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0})
    assert not caught.value.may_have_executed
    desk.server.clear_faults()
    assert len(desk.positions(1002)) == 1
    assert desk.positions(1001) == []


def test_it_tells_whether_an_order_may_have_gone_out(desk: Desk, terminal: AccountTerminal) -> None:
    request = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
    cases = [
        (FaultKind.TIMEOUT_BEFORE, True),
        (FaultKind.TIMEOUT_AFTER, True),
        (FaultKind.DISCONNECT_TERMINAL, False),
    ]
    for kind, may_have_executed in cases:
        spec = FaultSpec(kind=kind, calls=("order_send",), times=1)
        desk.server.script_faults(1001, [spec])
        with pytest.raises(LinkError) as caught:
            terminal.send(request)
        assert caught.value.may_have_executed is may_have_executed, kind
    assert len(desk.positions(1001)) == 1
    assert LinkTimeout().may_have_executed


def order(kind: str, **fields: Any) -> Order:
    given_fields = {"symbol": "EURUSD", "direction": "buy", "volume": Decimal("0.29"), **fields}
    return Order(kind=kind, tag=new_tag(), comment="TG-12345678", **given_fields)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (
            order("open", stop_loss=1.0912349, take_profit=1.2),
            {"action": 1, "type": 0, "price": 1.10002, "sl": 1.09123, "tp": 1.2, "volume": 0.29,
             "deviation": 20, "type_filling": 0},
        ),
        (
            order("close", direction="sell", position_ticket=7),
            {"action": 1, "type": 1, "price": 1.1, "position": 7, "deviation": 200,
             "type_filling": 1},
        ),
        (
            order("place", type="stop_limit", price=1.2, stop_limit_price=1.19),
            {"action": 5, "type": 6, "price": 1.2, "stoplimit": 1.19, "type_filling": 2,
             "type_time": 0},
        ),
        (
            order("place", direction="sell", type="limit", price=1.2, valid_until_at=NOW),
            {"action": 5, "type": 3, "type_time": 2,
             "expiration": int(datetime(2026, 11, 18, 14, 0, tzinfo=UTC).timestamp())},
        ),
        (order("modify_order", order_ticket=9, price=1.2, stop_loss=1.1),
         {"action": 7, "order": 9, "price": 1.2, "sl": 1.1, "tp": 0.0}),
        (order("cancel", order_ticket=9), {"action": 8, "order": 9}),
        (order("modify_position", position_ticket=7, stop_loss=1.0, take_profit=1.3),
         {"action": 6, "position": 7, "sl": 1.0, "tp": 1.3}),
        (order("close_by", position_ticket=7, opposite_ticket=8),
         {"action": 10, "position": 7, "position_by": 8}),
    ],
)  # fmt: skip
def test_a_request_says_what_the_order_asks_for(asked: Order, wanted: Mapping[str, Any]) -> None:
    request = trade_request(asked, TERMS, ZONE)
    assert {name: request[name] for name in wanted} == wanted
    assert (request["magic"], request["comment"]) == (asked.tag, "TG-12345678")
    for name in ("volume", "price", "sl", "tp", "stoplimit"):
        assert type(request.get(name, 0.0)) is float, name
    for name in ("action", "type", "position", "order", "deviation", "magic", "expiration"):
        assert type(request.get(name, 0)) is int, name


def test_a_deviation_of_the_users_own_counts() -> None:
    assert requests.deviation_points(order("open", deviation_points=0)) == 0
    assert requests.deviation_points(order("close", deviation_points=3)) == 3


@pytest.mark.parametrize(
    ("flags", "opening", "closing"), [(0, 2, 2), (1, 0, 0), (2, 1, 1), (3, 0, 1), (7, 0, 1)]
)
def test_the_filling_mode_is_one_that_the_symbol_offers(
    flags: int, opening: int, closing: int
) -> None:
    terms = replace(TERMS, filling_mode=flags)
    assert filling_mode(terms, is_close=False) == opening
    assert filling_mode(terms, is_close=True) == closing


def test_an_order_without_an_expiry_lasts_as_the_symbol_lets_it() -> None:
    placed = order("place", type="limit", price=1.0)
    assert trade_request(placed, replace(TERMS, expiration_mode=2), ZONE)["type_time"] == 1
    assert trade_request(placed, replace(TERMS, expiration_mode=3), ZONE)["type_time"] == 0


STEPS = replace(TERMS, volume_min=0.1, volume_step=0.1)
CENTS = st.integers(1, 500).map(lambda cents: Decimal(cents) / 100)


@given(held=CENTS, wanted=CENTS)
def test_a_part_that_is_closed_is_whole_steps_and_leaves_no_crumb(
    held: Decimal, wanted: Decimal
) -> None:
    closed = closing_volume(held, wanted, STEPS)
    assert 0 <= closed <= held
    assert closed == held or closed % Decimal("0.1") == 0
    assert closed == held or held - closed >= Decimal("0.1") or closed == 0
    assert closed <= wanted or closed == held


def test_a_tag_is_ours_and_a_double_holds_it() -> None:
    tags = {new_tag() for _ in range(1000)}
    assert len(tags) == 1000
    assert all(is_our_tag(tag) and int(float(tag)) == tag for tag in tags)
    assert not is_our_tag(0)
    assert not is_our_tag(123456)


def result(retcode: int, volume: str = "0.29") -> SendResult:
    return SendResult(retcode, 5, 6, Decimal(volume), 1.1, 1.1, 1.10002, "as the broker says")


def test_every_retcode_has_a_sentence_of_its_own() -> None:
    names = [name for name in dir(mt5) if name.startswith("TRADE_RETCODE_")]
    said = {name: retcodes.sentence_of(getattr(mt5, name)) for name in names}
    assert [name for name, text in said.items() if "answered" in text] == []
    assert len(set(said.values())) == len(said)
    assert retcodes.sentence_of(19999, "Odd") == "The broker answered 19999: Odd."


@pytest.mark.parametrize(
    ("kind", "retcode", "volume", "state"),
    [
        ("open", 10009, "0.29", "filled"),
        ("open", 10009, "0.28", "partial"),
        ("open", 10010, "0.1", "partial"),
        ("open", 10008, "0.29", "unknown"),
        ("place", 10008, "0.29", "placed"),
        ("place", 10009, "0.29", "placed"),
        ("cancel", 10009, "0", "filled"),
        ("cancel", 10008, "0", "unknown"),
        ("modify_position", 10009, "0", "filled"),
        ("modify_position", 10025, "0", "filled"),
        ("close", 10012, "0", "unknown"),
        ("open", 10031, "0", "unknown"),
        ("open", 10019, "0", "rejected"),
    ],
)
def test_an_answer_gives_an_order_its_state(
    kind: str, retcode: int, volume: str, state: str
) -> None:
    outcome = answered(order(kind), result(retcode, volume), NOW)
    assert outcome.state == state


def test_the_terminals_own_refusals_are_called_so() -> None:
    assert answered(order("open"), result(10027), NOW).fields["refused_by"] == "terminal"
    assert answered(order("open"), result(10019), NOW).fields["refused_by"] == "broker"


def test_terms_come_with_the_newest_quote(desk: Desk, terminal: AccountTerminal) -> None:
    desk.server.set_prices("EURUSD", 1.2, 1.20003)
    terms = terminal.symbol("EURUSD")
    assert isinstance(terms, SymbolTerms)
    assert (terms.bid, terms.ask) == (1.2, 1.20003)

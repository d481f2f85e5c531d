"""Every retcode that a trader meets: how to provoke it, and that a refusal changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

BUY, SELL, BUY_LIMIT = mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL, mt5.ORDER_TYPE_BUY_LIMIT
DEAL, PENDING, SLTP = mt5.TRADE_ACTION_DEAL, mt5.TRADE_ACTION_PENDING, mt5.TRADE_ACTION_SLTP
MODIFY, REMOVE = mt5.TRADE_ACTION_MODIFY, mt5.TRADE_ACTION_REMOVE
SUCCESSES = (mt5.TRADE_RETCODE_PLACED, mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_DONE_PARTIAL)
DAY = 86_400
# The retcodes of the issue, and those beyond them that the broker answers with.
OF_THE_ISSUE = {
    10004, 10006, 10008, 10009, 10010, *range(10013, 10020), 10021, 10027, 10029, 10030, 10031,
    10033, 10034, 10035, 10036, 10038, 10039, 10040, 10044,
}  # fmt: skip
BEYOND = {10022, 10025, 10026, 10028, 10042, 10043, 10045}


class Trader:
    """A terminal on a server of its own, and short forms of the requests in the table."""

    def __init__(self, **terms: Any) -> None:
        self.desk = Desk(always_open=True)
        self.server = self.desk.server
        self.desk.open_account(1001, **{"deposit": 100_000.0, **terms})
        for symbol, bid, ask in (
            ("EURUSD", 1.1, 1.1002), ("EURJPY", 160.0, 160.02), ("NZDUSD", 0.6, 0.6002),
            ("MSFT", 500.0, 500.02),
        ):  # fmt: skip
            self.server.set_prices(symbol, bid, ask)
        self.terminal = SimulatedMetaTrader5(self.server)
        assert self.terminal.initialize("terminal64.exe", login=1001, password=PASSWORD,
                                        server=SERVER)  # fmt: skip

    def send(self, **request: Any) -> Any:
        result = self.terminal.order_send(request)
        assert result is not None, self.terminal.last_error()
        return result

    def deal(self, side: int = BUY, **more: Any) -> Any:
        request = {"action": DEAL, "symbol": "EURUSD", "volume": 0.1, "type": side}
        return self.send(**{**request, **more})

    def limit(self, **more: Any) -> Any:
        request = {"action": PENDING, "symbol": "EURUSD", "volume": 0.1, "type": BUY_LIMIT,
                   "price": 1.09}  # fmt: skip
        return self.send(**{**request, **more})

    def done(self, result: Any) -> int:
        assert result.retcode in SUCCESSES, result
        return int(result.order)


Act = Callable[[Trader], Any]


@dataclass(frozen=True)
class Case:
    """``given`` prepares and returns a ticket; ``when`` sends the request in question."""

    retcode: int
    name: str
    when: Callable[[Trader, int], Any]
    given: Callable[[Trader], Any] = lambda trader: 0
    terms: tuple[tuple[str, Any], ...] = ()


def _fault(kind: FaultKind, **details: Any) -> Act:
    return lambda trader: trader.server.add_fault(1001, kind, **details)


def _mode(mode: int) -> Act:
    return lambda trader: trader.server.set_trade_mode("EURUSD", mode)


def _frozen_order(trader: Trader) -> int:
    trader.server.set_prices("EURJPY", 160.99, 161.01)
    ticket = trader.done(trader.limit(symbol="EURJPY", price=160.5))
    trader.server.set_prices("EURJPY", 160.494, 160.514)
    return ticket


def _frozen_position(trader: Trader) -> int:
    ticket = trader.done(trader.deal(symbol="EURJPY", price=160.02, sl=159.9))
    trader.server.set_prices("EURJPY", 159.914, 159.934)
    return ticket


def _late_close(trader: Trader) -> int:
    ticket = trader.done(trader.deal())
    account = trader.server._engine.books.account_of[1001]
    trader.server.add_fault(1001, FaultKind.LATE, times=1, delay_seconds=5.0)
    request = {"action": DEAL, "position": ticket, "volume": 0.1, "type": SELL}
    assert trader.terminal.order_send(request) is None
    assert len(trader.server._engine.books.orders_of(account)) == 1
    return ticket


def _accepted(trader: Trader) -> int:
    return trader.done(trader.deal(symbol="MSFT", volume=1.0))


def _many_lots(trader: Trader) -> int:
    return trader.done(trader.deal(symbol="NZDUSD", volume=100.0))


def _second_in_line(trader: Trader) -> int:
    trader.done(trader.deal())
    return trader.done(trader.deal())


def _opened(trader: Trader) -> int:
    return trader.done(trader.deal())


def _closing(ticket: int, **more: Any) -> dict[str, Any]:
    return {"side": SELL, "position": ticket, **more}


CASES = [
    Case(10004, "price too far off", lambda t, _: t.deal(symbol="EURJPY", price=160.0)),
    Case(10004, "requote", lambda t, _: t.deal(), _fault(FaultKind.REQUOTE)),
    Case(10006, "rejected", lambda t, _: t.deal(), _fault(FaultKind.REJECT)),
    Case(10006, "all or nothing", lambda t, _: t.deal(), _fault(FaultKind.PARTIAL_FILL)),
    Case(10006, "book or cancel",
         lambda t, _: t.limit(symbol="MSFT", volume=1.0, price=501.0, type_filling=3)),
    Case(10008, "exchange", lambda t, _: t.deal(symbol="MSFT", volume=1.0)),
    Case(10008, "order on an exchange", lambda t, _: t.limit(symbol="MSFT", volume=1.0, price=9.0)),
    Case(10009, "market", lambda t, _: t.deal()),
    Case(10009, "order", lambda t, _: t.limit()),
    Case(10009, "close", lambda t, ticket: t.deal(**_closing(ticket, symbol="")), _opened),
    Case(10010, "partial", lambda t, _: t.deal(type_filling=1), _fault(FaultKind.PARTIAL_FILL)),
    Case(10013, "no such action", lambda t, _: t.send(action=99)),
    Case(10013, "no such symbol", lambda t, _: t.deal(symbol="EURUSD.x")),
    Case(10013, "no such order", lambda t, _: t.send(action=REMOVE, order=4711)),
    Case(10013, "close in the same direction", lambda t, ticket: t.deal(position=ticket), _opened),
    Case(10013, "stops of no position", lambda t, _: t.send(action=SLTP, symbol="EURUSD", sl=1.0)),
    Case(10014, "between the steps", lambda t, _: t.deal(volume=0.015)),
    Case(10014, "too little", lambda t, _: t.deal(volume=0.0)),
    Case(10014, "too much", lambda t, _: t.limit(volume=100.01)),
    Case(10015, "no price", lambda t, _: t.deal(symbol="EURJPY")),
    Case(10015, "limit above the ask", lambda t, _: t.limit(price=1.1002)),
    Case(10015, "modified to nothing", lambda t, ticket: t.send(action=MODIFY, order=ticket),
         lambda t: t.done(t.limit())),
    Case(10016, "stop above the bid", lambda t, _: t.deal(sl=1.1001)),
    Case(10016, "stop above the limit", lambda t, _: t.limit(sl=1.0901)),
    Case(10017, "symbol disabled", lambda t, _: t.deal(), _mode(mt5.SYMBOL_TRADE_MODE_DISABLED)),
    Case(10017, "account disabled", lambda t, _: t.deal(),
         lambda t: t.server.set_trade_allowed(1001, False)),
    Case(10018, "closed", lambda t, _: t.deal(),
         lambda t: t.server.set_market_open("EURUSD", False)),
    Case(10018, "closed for orders", lambda t, _: t.limit(),
         lambda t: t.server.set_market_open("EURUSD", False)),
    Case(10019, "no money", lambda t, _: t.deal(volume=95.0)),
    Case(10019, "no money to reserve",
         lambda t, _: t.limit(symbol="MSFT", volume=1_000.0, price=490.0)),
    Case(10021, "no quotes", lambda t, _: t.deal(), lambda t: t.server.set_quotes("EURUSD", False)),
    Case(10022, "in the past", lambda t, _: t.limit(type_time=2, expiration=DAY)),
    Case(10025, "same stops", lambda t, ticket: t.send(action=SLTP, position=ticket), _opened),
    Case(10025, "same order", lambda t, ticket: t.send(action=MODIFY, order=ticket, price=1.09),
         lambda t: t.done(t.limit())),
    Case(10026, "programs barred", lambda t, _: t.deal(),
         lambda t: t.server.set_expert_trading(1001, False)),
    Case(10027, "button off", lambda t, _: t.deal(),
         lambda t: t.server.set_algo_trading(1001, False)),
    Case(10028, "being executed", lambda t, ticket: t.send(action=REMOVE, order=ticket), _accepted),
    Case(10029, "order frozen", lambda t, ticket: t.send(action=REMOVE, order=ticket),
         _frozen_order),
    Case(10029, "position frozen",
         lambda t, ticket: t.deal(**_closing(ticket, symbol="EURJPY", price=159.914)),
         _frozen_position),
    Case(10030, "filling mode", lambda t, _: t.deal(type_filling=2)),
    Case(10030, "filling mode of a close", lambda t, ticket: t.deal(**_closing(ticket),
         type_filling=2), _opened),
    Case(10031, "no connection", lambda t, _: t.deal(), _fault(FaultKind.CUT_FROM_BROKER)),
    Case(10033, "orders", lambda t, _: t.limit(), lambda t: t.limit(), (("order_limit", 1),)),
    Case(10034, "lots", lambda t, _: t.deal(symbol="NZDUSD", volume=50.01), _many_lots,
         (("deposit", 10_000_000.0),)),
    Case(10035, "no type for waiting", lambda t, _: t.limit(type=BUY)),
    Case(10035, "no type for dealing", lambda t, _: t.deal(BUY_LIMIT)),
    Case(10035, "type prohibited",
         lambda t, _: t.limit(symbol="USDMXN", price=20.0, stoplimit=19.0, type=6)),
    Case(10036, "no such position", lambda t, _: t.deal(**_closing(4711))),
    Case(10038, "more than there is", lambda t, ticket: t.deal(**_closing(ticket, volume=0.11)),
         _opened),
    Case(10039, "closing already", lambda t, ticket: t.deal(**_closing(ticket)), _late_close),
    Case(10040, "positions", lambda t, _: t.deal(), _opened, (("position_limit", 1),)),
    Case(10040, "positions to come", lambda t, _: t.limit(), _opened, (("position_limit", 1),)),
    Case(10042, "long only", lambda t, _: t.deal(SELL), _mode(mt5.SYMBOL_TRADE_MODE_LONGONLY)),
    Case(10043, "short only", lambda t, _: t.deal(), _mode(mt5.SYMBOL_TRADE_MODE_SHORTONLY)),
    Case(10044, "close only", lambda t, _: t.deal(), _mode(mt5.SYMBOL_TRADE_MODE_CLOSEONLY)),
    Case(10044, "close only, waiting", lambda t, _: t.limit(),
         _mode(mt5.SYMBOL_TRADE_MODE_CLOSEONLY)),
    Case(10045, "not the oldest", lambda t, ticket: t.deal(**_closing(ticket)), _second_in_line,
         (("fifo_close", True),)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.retcode} {case.name}")
def test_it_answers_with(case: Case) -> None:
    trader = Trader(**dict(case.terms))
    ticket = case.given(trader)
    before = trader.server.fingerprint()

    result = case.when(trader, ticket)

    assert result.retcode == case.retcode, result
    assert result.comment
    if case.retcode in SUCCESSES:
        assert result.order > 0
        assert trader.server.fingerprint() != before
    else:
        assert (result.deal, result.order, result.volume, result.price) == (0, 0, 0.0, 0.0)
        assert trader.server.fingerprint() == before


def test_it_provokes_every_retcode_of_the_list() -> None:
    assert {case.retcode for case in CASES} == OF_THE_ISSUE | BEYOND

"""What holds of the broker after any sequence of calls."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.terminals.link import LinkError
from accounts.terminals.readings import Outcome
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.books.books import TICKETS_SKIPPED_AFTER_CRASH, Books
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.symbols.catalogue import CONTRACTS
from accounts.terminals.simulated.symbols.contracts import FILLING_FOK_FLAG, Contract
from accounts.tests.books_audit import audit, books_of
from accounts.tests.simulated_desk import PASSWORD, SERVER, Clock, Desk

NETTING = mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING
EXCHANGE = mt5.ACCOUNT_MARGIN_MODE_EXCHANGE
ACCOUNTS: dict[int, dict[str, Any]] = {
    1: {"commission_per_lot": 3.5},
    2: {"currency": "EUR", "leverage": 30, "fifo_close": True},
    3: {"currency": "JPY", "deposit": 1_500_000.0, "order_limit": 5},
    4: {"margin_mode": NETTING, "currency": "EUR", "commission_per_lot": 2.0},
    5: {"margin_mode": NETTING, "currency": "JPY", "deposit": 1_500_000.0},
    6: {"margin_mode": EXCHANGE, "deposit": 250_000.0},
}
SYMBOLS = ("EURUSD", "USDJPY", "EURGBP", "EURJPY", "XAUUSD", "GER40", "MSFT", "NQH30", "BTCUSD")
ORDER_FAULTS = (
    FaultKind.REJECT, FaultKind.REQUOTE, FaultKind.PARTIAL_FILL, FaultKind.SLIPPAGE,
    FaultKind.LATE, FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER,
    FaultKind.COMMENT_REWRITTEN, FaultKind.CRASH_TERMINAL,
)  # fmt: skip
PENDING = range(mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_STOP_LIMIT + 1)

logins = st.sampled_from(sorted(ACCOUNTS))
contracts = st.sampled_from([contract for contract in CONTRACTS if contract.name in SYMBOLS])
steps_of_volume = st.integers(1, 30)
sides = st.sampled_from([mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL])
fillings = st.sampled_from([None, None, None, 0, 1, 2, 3])  # mostly one that the symbol offers
points = st.integers(-3_000, 3_000)
garbage = st.one_of(
    st.integers(-5, 12),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from([0.005, 0.015, 1e-9, 1e9, 50_000_001, 50_000_004]),
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from([1, 5, 6, 7, 8, 10, 0, 99]),
        "symbol": st.sampled_from(["EURUSD", "MSFT", "eurusd", "", "NONE"]),
        "position": st.integers(-1, 60_000_000),
        "order": st.integers(-1, 60_000_000),
        **dict.fromkeys(("volume", "price", "sl", "tp", "stoplimit"), garbage),
        "comment": st.text(max_size=40),
    },
)


class Broker(RuleBasedStateMachine):
    """Accounts of every kind, and whatever comes at their broker."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="broker-"))
        self._runs = 0
        self.desk = Desk(home=self._home, sleep=_no_wait)
        for login, terms in ACCOUNTS.items():
            self.desk.open_account(login, **terms)

    def teardown(self) -> None:
        self.desk.server.close()
        shutil.rmtree(self._folder)

    @initialize(always_open=st.booleans())
    def open_markets(self, always_open: bool) -> None:
        if always_open:
            for contract in CONTRACTS:
                self.desk.server.set_market_open(contract.name, True)

    @rule(login=logins, contract=contracts, side=sides, steps=steps_of_volume, filling=fillings,
          sl=points, tp=points)  # fmt: skip
    def deal(self, login: int, contract: Contract, side: int, steps: int, filling: int | None,
             sl: int, tp: int) -> None:  # fmt: skip
        bid, ask = self._quote(contract)
        self._send(login, action=mt5.TRADE_ACTION_DEAL, symbol=contract.name, type=side,
                   volume=steps * contract.volume_min, price=(ask, bid)[side], deviation=20,
                   type_filling=_filling(contract, filling), sl=_stop(contract, bid, sl),
                   tp=_stop(contract, bid, tp))  # fmt: skip

    @rule(login=logins, contract=contracts, kind=st.sampled_from(PENDING), steps=steps_of_volume,
          away=points, beyond=st.integers(1, 500), lasts=st.integers(0, 3))  # fmt: skip
    def place(self, login: int, contract: Contract, kind: int, steps: int, away: int, beyond: int,
              lasts: int) -> None:  # fmt: skip
        bid, _ = self._quote(contract)
        price = _on_tick(contract, bid + away * contract.tick_size)
        better = -1 if kind == mt5.ORDER_TYPE_BUY_STOP_LIMIT else 1
        self._send(login, action=mt5.TRADE_ACTION_PENDING, symbol=contract.name, type=kind,
                   volume=steps * contract.volume_min, price=price,
                   stoplimit=_on_tick(contract, price + better * beyond * contract.tick_size)
                   if kind > mt5.ORDER_TYPE_SELL_STOP else 0.0,
                   type_time=lasts, expiration=int(self._now()) + 90_000,
                   type_filling=mt5.ORDER_FILLING_RETURN)  # fmt: skip

    @precondition(lambda self: len(self.books.orders) > 0)
    @rule(pick=st.integers(0, 99), away=points, removes=st.booleans())
    def change_order(self, pick: int, away: int, removes: bool) -> None:
        order = self.books.orders.row(pick % len(self.books.orders))
        contract = CONTRACTS[order["symbol"]]
        price = _on_tick(contract, order["price_open"] + away * contract.tick_size)
        self._send(self._login(order), order=order["ticket"], symbol=contract.name, price=price,
                   action=mt5.TRADE_ACTION_REMOVE if removes else mt5.TRADE_ACTION_MODIFY,
                   stoplimit=order["price_stoplimit"])  # fmt: skip

    @precondition(lambda self: self._open_rows())
    @rule(pick=st.integers(0, 99), steps=st.integers(0, 4), filling=fillings)
    def close(self, pick: int, steps: int, filling: int | None) -> None:
        position = self._position(pick)
        contract = CONTRACTS[position["symbol"]]
        lots = steps * contract.volume_min if steps else position["volume"]
        self._send(self._login(position), action=mt5.TRADE_ACTION_DEAL, symbol=contract.name,
                   position=position["ticket"], type=1 - position["type"], volume=lots,
                   price=self._quote(contract)[position["type"]], deviation=20,
                   type_filling=_filling(contract, filling))  # fmt: skip

    @precondition(lambda self: self._open_rows())
    @rule(pick=st.integers(0, 99), steps=st.integers(-5, 9))
    def deal_against(self, pick: int, steps: int) -> None:
        """Deal against a position: reduces, closes or turns a net one, hedges another."""
        position = self._position(pick)
        contract = CONTRACTS[position["symbol"]]
        held = round(position["volume"] / contract.volume_min)
        self.deal(self._login(position), contract, 1 - position["type"], max(held + steps, 1),
                  None, 0, 0)  # fmt: skip

    @precondition(lambda self: self._open_rows())
    @rule(pick=st.integers(0, 99), sl=points, tp=points)
    def move_stops(self, pick: int, sl: int, tp: int) -> None:
        position = self._position(pick)
        contract = CONTRACTS[position["symbol"]]
        price = position["price_current"]
        self._send(self._login(position), action=mt5.TRADE_ACTION_SLTP, symbol=contract.name,
                   position=position["ticket"], sl=_stop(contract, price, sl),
                   tp=_stop(contract, price, tp))  # fmt: skip

    @precondition(lambda self: len(self._open_rows()) > 1)
    @rule(pick=st.integers(0, 99))
    def close_by(self, pick: int) -> None:
        rows = [self.books.positions.row(row) for row in self._open_rows()]
        pairs = [(one, other) for one in rows for other in rows
                 if one["account"] == other["account"] and one["symbol"] == other["symbol"]
                 and one["type"] != other["type"]]  # fmt: skip
        if pairs:
            one, other = pairs[pick % len(pairs)]
            self._send(self._login(one), action=mt5.TRADE_ACTION_CLOSE_BY, position=one["ticket"],
                       position_by=other["ticket"])  # fmt: skip

    @rule(login=logins, request=requests)
    def send_anything(self, login: int, request: dict[str, Any]) -> None:
        try:
            self._send(login, **request)
        except (ValueError, TypeError, OverflowError):
            return  # what cannot be read at all never reaches the desk

    @rule(login=logins, contract=contracts, side=sides, steps=steps_of_volume,
          kind=st.sampled_from(ORDER_FAULTS))  # fmt: skip
    def deal_with_a_fault(
        self, login: int, contract: Contract, side: int, steps: int, kind: FaultKind
    ) -> None:
        self.desk.server.add_fault(login, kind, times=1)
        self.deal(login, contract, side, steps, None, 0, 0)
        self.desk.server.clear_faults()
        self.desk.server.call("authorise", login, PASSWORD, SERVER)

    @rule(login=logins, kind=st.sampled_from(["deposit", "withdraw", "credit", "bonus"]),
          cents=st.integers(1, 500_000))  # fmt: skip
    def transfer(self, login: int, kind: str, cents: int) -> None:
        amount = cents / 100 if ACCOUNTS[login].get("currency") != "JPY" else float(cents)
        getattr(self.desk.server, kind)(login, amount)

    @rule(contract=contracts, percent=st.sampled_from([-30, -5, -1, -0.1, 0.1, 1, 5, 30]))
    def jump(self, contract: Contract, percent: float) -> None:
        bid, ask = self._quote(contract)
        moved = _on_tick(contract, max(bid * (1 + percent / 100), contract.start_bid / 4))
        spread = max(round((ask - bid) / contract.tick_size), 1) * contract.tick_size
        self.desk.server.set_prices(contract.name, moved, _on_tick(contract, moved + spread))

    @rule(seconds=st.sampled_from([0.3, 5.0, 3_600.0, 30_000.0, 86_400.0, 3 * 86_400.0]))
    def wait(self, seconds: float) -> None:
        self.desk.clock.now += seconds
        self.desk.server.step()

    @rule(contract=contracts, mode=st.sampled_from([0, 1, 2, 3, 4, 4, 4, 4]))
    def set_trade_mode(self, contract: Contract, mode: int) -> None:
        self.desk.server.set_trade_mode(contract.name, mode)

    @rule(ends_cleanly=st.booleans())
    def restart(self, ends_cleanly: bool) -> None:
        if ends_cleanly:
            self.desk.server.close()
        before = self.books
        replayed = self._restarted()
        if ends_cleanly:
            assert replayed.dump() == before.dump()
        else:
            replayed.next_order -= TICKETS_SKIPPED_AFTER_CRASH
            replayed.next_deal -= TICKETS_SKIPPED_AFTER_CRASH
            assert replayed.dump() == before.dump()
            replayed.skip_tickets()

    @invariant()
    def the_books_are_in_order(self) -> None:
        audit(self.books)

    @invariant()
    def a_revaluation_of_everything_changes_nothing(self) -> None:
        found = _valued(self.books)
        self.desk.server._engine.valuation.settle_all()
        assert _valued(self.books) == found

    @invariant()
    def a_batch_agrees_with_single_calls_and_each_with_itself(self) -> None:
        batch = self.desk.server.read_batch(list(ACCOUNTS), [0] * len(ACCOUNTS))
        for place, login in enumerate(ACCOUNTS):
            account, positions = self.desk.account(login), self.desk.positions(login)
            _check_sums(account, positions)
            row = batch.accounts[place]
            assert row["outcome"] == Outcome.ANSWERED
            for name in ("balance", "credit", "profit", "equity", "margin", "margin_free",
                         "margin_level"):  # fmt: skip
                assert row[name] == account[name], name
            mine = batch.positions[batch.positions["account"] == place]
            for name in ("ticket", "volume", "profit", "swap", "sl", "tp"):
                assert mine[name].tolist() == [position[name] for position in positions], name
            waiting = self.desk.server.call("orders", login, None, None, None)
            orders = batch.orders[batch.orders["account"] == place]
            assert orders["ticket"].tolist() == [order[0] for order in waiting]
            deals = batch.deals[batch.deals["account"] == place]
            single_deals = [deal["ticket"] for deal in self.desk.deals(login)]
            assert np.array_equal(np.sort(deals["ticket"]), single_deals)

    @property
    def books(self) -> Books:
        return books_of(self.desk.server)

    @property
    def _home(self) -> Path:
        return self._folder / str(self._runs)

    def _restarted(self) -> Books:
        """Go on with a copy of the files, as if the process had died at this moment."""
        now, home = self.desk.clock.now, self._home
        self._runs += 1
        shutil.copytree(home, self._home)
        self._let_go()
        clock = Clock(now)
        self.desk = Desk(home=self._home, sleep=_no_wait, clock=clock)
        self.desk.clock = clock
        return self.books

    def _let_go(self) -> None:
        journal = self.desk.server._engine._journal
        assert journal is not None
        journal._close_file()

    def _send(self, login: int, **request: Any) -> None:
        try:
            self.desk.send(login, **request)
        except LinkError:
            return

    def _login(self, row: dict[str, Any]) -> int:
        return int(self.books.accounts["login"][row["account"]])

    def _open_rows(self) -> list[int]:
        rows: list[int] = np.flatnonzero(self.books.positions["live"]).tolist()
        return rows

    def _position(self, pick: int) -> dict[str, Any]:
        rows = self._open_rows()
        return self.books.positions.row(rows[pick % len(rows)])

    def _quote(self, contract: Contract) -> list[float]:
        return self.books.quotes[CONTRACTS.index(contract)]

    def _now(self) -> float:
        return self.desk.server.server_time()


def _valued(books: Books) -> list[list[float]]:
    """Return what trades and ticks keep up to date, to the last bit."""
    live = books.positions["live"]
    return [
        *(books.accounts[name].tolist() for name in ("floating", "margin")),
        *(books.positions[name][live].tolist() for name in ("price_current", "profit")),
    ]


def _check_sums(account: dict[str, Any], positions: list[dict[str, Any]]) -> None:
    digits = account["currency_digits"]
    floating = sum(row["profit"] + row["swap"] for row in positions)
    assert account["profit"] == round(floating, digits)
    equity = account["balance"] + account["credit"] + account["profit"]
    assert account["equity"] == round(equity, digits)
    assert account["margin_free"] == round(account["equity"] - account["margin"], digits)


def _filling(contract: Contract, filling: int | None) -> int:
    if filling is not None:
        return filling
    offers_fok = contract.filling_flags & FILLING_FOK_FLAG
    return mt5.ORDER_FILLING_FOK if offers_fok else mt5.ORDER_FILLING_IOC


def _no_wait(_seconds: float) -> None:
    """Take a fault's waiting for done."""


def _on_tick(contract: Contract, price: float) -> float:
    ticks = round(price / contract.tick_size)
    return round(ticks * contract.tick_size, contract.digits)


def _stop(contract: Contract, price: float, away_ticks: int) -> float:
    """Return a stop so many ticks away, none for about every second number."""
    return _on_tick(contract, price + away_ticks * contract.tick_size) if away_ticks % 2 else 0.0


def test_it_keeps_its_books_whatever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Files are read back while the machine stays up: what fsync is for does not happen here.
    monkeypatch.setattr("accounts.terminals.simulated.books.journal.os.fsync", lambda _: None)
    run_state_machine_as_test(
        Broker,
        settings=settings(
            max_examples=50,
            stateful_step_count=50,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

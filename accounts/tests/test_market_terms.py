import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from redis import Redis, RedisError

from accounts.market_terms import TermsBook, days_of, symbols_of, terms_of
from accounts.symbol_terms import SymbolTerms, SymbolTradeMode
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

LOGIN = 1001


@pytest.fixture
def desk() -> Desk:
    desk = Desk(seed=7)
    desk.open_account(LOGIN)
    desk.server.set_prices("EURUSD", 1.10000, 1.10002)
    desk.server.call("authorise", LOGIN, PASSWORD, SERVER)
    return desk


class CountedCalls:
    """A source that counts what it is asked."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.asked: list[str] = []

    def call(self, method: str, *arguments: Any) -> Any:
        self.asked.append(method)
        return self._desk.server.call(method, *arguments)


@pytest.fixture
def serving(desk: Desk, redis: Redis) -> Iterator[TermsBook]:
    """A host that hands over what is wanted."""
    book = TermsBook(desk.server, "local")
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.wait(0.01):
            book.refresh_wanted()

    thread = threading.Thread(target=serve)
    thread.start()
    yield book
    stopped.set()
    thread.join()


def test_it_takes_the_terms_out_of_the_row(desk: Desk) -> None:
    terms = TermsBook(desk.server, "local").terms(LOGIN, "EURUSD")

    assert terms is not None
    assert (terms.name, terms.digits, terms.point) == ("EURUSD", 5, 0.00001)
    assert (terms.bid, terms.ask) == (1.10000, 1.10002)
    assert (terms.volume_min, terms.volume_max, terms.volume_step) == (0.01, 100.0, 0.01)
    assert (terms.currency_base, terms.currency_profit) == ("EUR", "USD")
    assert terms.trade_mode == SymbolTradeMode.FULL
    assert terms.margin_buy == pytest.approx(1100.02)
    assert terms.loss_per_price == pytest.approx(100_000.0)


@pytest.mark.parametrize("symbol", ["EURUSD", "USDJPY", "USDCHF", "NZDUSD"])
def test_the_formula_gives_the_margin_that_the_terminal_says(desk: Desk, symbol: str) -> None:
    row = desk.server.call("symbol_info", LOGIN, symbol)
    terms = SymbolTerms.from_row(row)
    told = desk.server.call("order_calc_margin", LOGIN, 0, symbol, 1.0, terms.ask)

    formula = terms.margin_per_lot(True, terms.ask, 100)

    assert formula == pytest.approx(told, rel=0.002, abs=0.01)


def test_terms_are_kept_for_a_moment(desk: Desk) -> None:
    now, source = [0.0], CountedCalls(desk)
    book = TermsBook(source, "local", monotonic=lambda: now[0])

    book.terms(LOGIN, "EURUSD")
    now[0] = 2.9
    book.terms(LOGIN, "EURUSD")
    assert source.asked.count("symbol_info") == 1
    now[0] = 3.0
    book.terms(LOGIN, "EURUSD")
    assert source.asked.count("symbol_info") == 2
    assert source.asked.count("order_calc_margin") == 2  # the margins move more slowly


def test_what_the_terminal_does_not_tell_is_not_known(desk: Desk) -> None:
    book = TermsBook(desk.server, "local")

    assert book.terms(LOGIN, "NOSUCH") is None
    desk.server.set_fault(LOGIN, FaultKind.CRASH_TERMINAL)
    assert book.terms(LOGIN, "EURUSD") is None


def test_the_web_gets_what_it_asks_for(serving: TermsBook) -> None:
    terms = terms_of(SERVER, "EURUSD", "local", login=LOGIN)

    assert terms is not None
    assert terms.ask == 1.10002
    names = symbols_of(SERVER, host="local", login=LOGIN)
    assert names is not None
    assert names == sorted(names)
    assert "EURUSD" in names
    days = days_of(
        SERVER, ["EURUSD", "USDJPY"], host="local", login=LOGIN, zone="America/New_York+7h"
    )
    assert days["USDJPY"].currencies == ("USD", "JPY")
    assert days["EURUSD"].closes


def test_nobody_answers_for_another_host(serving: TermsBook) -> None:
    assert terms_of(SERVER, "EURUSD", "away", login=LOGIN, wait_seconds=0.0) is None
    assert symbols_of(SERVER, host="away", login=LOGIN, wait_seconds=0.0) is None


def test_old_terms_are_not_taken_for_the_present(redis: Redis, desk: Desk) -> None:
    book = TermsBook(desk.server, "local")
    terms_of(SERVER, "EURUSD", "local", login=LOGIN, wait_seconds=0.0)
    assert book.refresh_wanted() == 1
    assert terms_of(SERVER, "EURUSD", "local", login=LOGIN, wait_seconds=0.0) is not None

    with patch("accounts.market_terms.FRESH_SECONDS", -1.0):
        assert terms_of(SERVER, "EURUSD", "local", login=LOGIN, wait_seconds=0.0) is None


def test_without_redis_nothing_is_known(desk: Desk) -> None:
    book = TermsBook(desk.server, "local")
    with patch("accounts.market_terms.redis_client", side_effect=RedisError("away")):
        assert terms_of(SERVER, "EURUSD", "local", login=LOGIN) is None
        assert symbols_of(SERVER, host="local", login=LOGIN) is None
        assert days_of(SERVER, ["EURUSD"], host="local", login=LOGIN, zone="UTC") == {}
        assert book.refresh_wanted() == 0


def test_volumes_are_floored_by_decimals(desk: Desk) -> None:
    terms = TermsBook(desk.server, "local").terms(LOGIN, "EURUSD")
    assert terms is not None

    told = [str(terms.floored(volume)) for volume in (0.29, 0.57, 0.58, 1.13, 0.019, 0.009)]

    assert told == ["0.29", "0.57", "0.58", "1.13", "0.01", "0"]
    assert str(terms.floored(1e9)) == "100.00"
    assert SymbolTerms.unpacked(terms.packed()) == terms
    assert SymbolTerms.unpacked(b"\x81\xa1a\x01") is None

"""The checks of the gate that no rule asks for: account, terminal, symbol, prices, volume."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from accounts.symbol_terms import SymbolTradeMode
from risk.core.gate.book import Book
from risk.core.gate.deciding import decide
from risk.core.gate.verdicts import Verdict
from risk.core.rule_types import RuleType
from risk.core.surroundings import Surroundings
from risk.tests.core_cases import NOON, rule
from risk.tests.gate_cases import ASK, BID, EURUSD, account_row, book_of, intent, position


def refusal(book: Book, **fields: Any) -> str:
    """Return why an order is blocked, "" when it is not."""
    lots = fields.pop("lots", "1")
    (decision,) = decide(book, [intent(lots, **fields)], ())
    return decision.sentence if decision.verdict is Verdict.BLOCK else ""


@pytest.mark.parametrize(
    ("sheet", "words"),
    [
        ({"known": np.array([False]), "age_seconds": np.array([3.2])}, "3.2 seconds old"),
        ({"known": np.array([False]), "age_seconds": np.array([np.inf])}, "no reading"),
        ({"is_connected": np.array([False])}, "not connected"),
        ({"is_expected": np.array([False])}, "another account"),
        ({"trade_allowed": np.array([False])}, "watching only"),
        ({"algo_allowed": np.array([False])}, "Algo Trading"),
        ({"lock_reasons": {0: "Daily loss reached."}}, "locked: Daily loss reached."),
    ],
)
def test_an_account_in_doubt_opens_nothing(sheet: dict[str, Any], words: str) -> None:
    assert words in refusal(book_of([], **sheet))
    assert refusal(book_of([])) == ""


def test_an_order_for_another_login_is_refused() -> None:
    assert "another account" in refusal(book_of([]), is_expected=False)


def test_a_symbol_without_terms_is_refused() -> None:
    assert "terms of EURUSD" in refusal(book_of([]), terms=None, price=None)


@pytest.mark.parametrize(
    ("mode", "selling", "is_refused"),
    [
        (SymbolTradeMode.FULL, False, False),
        (SymbolTradeMode.DISABLED, False, True),
        (SymbolTradeMode.CLOSE_ONLY, True, True),
        (SymbolTradeMode.LONG_ONLY, False, False),
        (SymbolTradeMode.LONG_ONLY, True, True),
        (SymbolTradeMode.SHORT_ONLY, True, False),
        (SymbolTradeMode.SHORT_ONLY, False, True),
    ],
)
def test_the_trade_mode_of_the_symbol_counts(
    mode: SymbolTradeMode, selling: bool, is_refused: bool
) -> None:
    terms = replace(EURUSD, trade_mode=mode)

    assert bool(refusal(book_of([]), terms=terms, selling=selling)) is is_refused


@pytest.mark.parametrize(
    ("stop", "is_refused"), [(BID - 0.00101, False), (BID - 0.001, False), (BID - 0.00099, True)]
)
def test_stops_keep_their_distance(stop: float, is_refused: bool) -> None:
    terms = replace(EURUSD, stops_level=100)

    assert bool(refusal(book_of([]), terms=terms, stop_loss=stop)) is is_refused


def test_stops_lie_on_the_right_side() -> None:
    assert "stop loss must lie below" in refusal(book_of([]), stop_loss=ASK)
    assert "take profit must lie above" in refusal(book_of([]), take_profit=BID)
    assert "stop loss must lie above" in refusal(book_of([]), selling=True, stop_loss=BID)
    assert "no price" in refusal(book_of([]), price=None, terms=replace(EURUSD, ask=0.0))


@pytest.mark.parametrize(
    ("lots", "words"),
    [
        ("0.01", ""),
        ("0.009", "below the smallest volume of 0.01"),
        ("0.29", ""),
        ("0.295", "0.29 would be"),
        ("50", ""),
        ("50.01", "more than the largest volume of 50"),
    ],
)
def test_volumes_are_as_the_broker_wants_them(lots: str, words: str) -> None:
    account = account_row(margin_free=1e9)
    sentence = refusal(book_of([], account=account), lots=lots)

    assert (words in sentence) if words else sentence == ""


def test_the_limit_on_one_direction_counts_what_waits() -> None:
    terms = replace(EURUSD, volume_limit=3.0)
    book = book_of([], positions=[position(1.0)], orders=[{"symbol": 0, "type": 4, "volume": 1.0}])

    assert refusal(book, terms=terms) == ""
    assert "3.01 of 3 lots" in refusal(book, terms=terms, lots="1.01")
    assert refusal(book, terms=terms, lots="3", selling=True) == ""


def test_margin_that_is_not_known_is_refused() -> None:
    assert "not known" in refusal(book_of([]), terms=replace(EURUSD, calc_mode=1))


def test_a_preview_only_warns_of_what_a_host_will_ask() -> None:
    held = [position(1.0, symbol=1)]
    around = Surroundings(moment=NOON)
    limit = [rule(RuleType.MAX_CORRELATION, "0.7")]
    book = book_of(limit, positions=held, surroundings=around)
    here = replace(book, is_preview=True)

    assert decide(book, [intent()], ())[0].verdict is Verdict.BLOCK
    warned = decide(here, [intent()], ())[0]
    assert (warned.verdict, warned.volume) == (Verdict.WARN, Decimal(1))
    assert "when the order is there" in warned.sentence

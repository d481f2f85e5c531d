from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accounts.sessions.checks import Verdict, check
from accounts.terminals.readings import ORDER_DTYPE, PRICE_DTYPE, Outcome, ReadingBatch
from accounts.tests.hand_made_batches import batch_of

LOGIN = 1001
NOON_MSC = 1_795_176_000_000


def verdict(
    batch: ReadingBatch, *, login: int = LOGIN, server: int = 0, currency: int = 0
) -> Verdict:
    identity = (np.array([login]), np.array([server]), np.array([currency]))
    return Verdict(int(check(batch, *identity)[0]))


def with_account(positions_each: int = 1, **values: Any) -> ReadingBatch:
    batch = batch_of([LOGIN], positions_each=positions_each)
    for name, value in values.items():
        batch.accounts[name] = value
    return batch


def with_waiting_order(batch: ReadingBatch) -> ReadingBatch:
    return replace(batch, orders=np.zeros(1, dtype=ORDER_DTYPE))


def test_it_accepts_a_consistent_reading() -> None:
    assert verdict(with_account()) is Verdict.ACCEPTED


def test_it_accepts_an_account_without_positions() -> None:
    assert verdict(with_account(positions_each=0)) is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.NONE, Verdict.UNKNOWN_ANSWER),
        (Outcome.SILENT, Verdict.SILENT),
        (Outcome.NO_TERMINAL, Verdict.NO_TERMINAL),
        (Outcome.REFUSED, Verdict.REFUSED),
        (5, Verdict.SILENT),
        (-1, Verdict.SILENT),
    ],
)
def test_it_takes_no_figures_without_an_answer(outcome: int, expected: Verdict) -> None:
    assert verdict(with_account(outcome=outcome)) is expected


def test_it_refuses_a_terminal_cut_off_from_its_broker() -> None:
    assert verdict(with_account(connected=False)) is Verdict.NOT_CONNECTED


@pytest.mark.parametrize(("login", "server"), [(LOGIN + 1, 0), (LOGIN, 1), (LOGIN, -1)])
def test_it_refuses_another_account(login: int, server: int) -> None:
    assert verdict(with_account(), login=login, server=server) is Verdict.WRONG_ACCOUNT


def test_it_names_the_wrong_account_even_when_that_one_is_cut_off() -> None:
    batch = with_account(connected=False)
    assert verdict(batch, login=LOGIN + 1) is Verdict.WRONG_ACCOUNT


def test_it_does_not_take_an_unknown_server_for_the_expected_one() -> None:
    assert verdict(with_account(server=-1), server=-1) is Verdict.WRONG_ACCOUNT


def test_it_calls_a_terminal_without_any_account_not_connected() -> None:
    batch = with_account(login=0, server=-1, connected=False)
    assert verdict(batch) is Verdict.NOT_CONNECTED


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (0.0, Verdict.ACCEPTED),
        (0.01, Verdict.EMPTY_ANSWER),
        (float("nan"), Verdict.EMPTY_ANSWER),
    ],
)
def test_it_doubts_an_empty_answer_while_margin_is_used(margin: float, expected: Verdict) -> None:
    assert verdict(with_account(positions_each=0, margin=margin)) is expected


def test_it_accepts_margin_that_a_waiting_order_reserves() -> None:
    batch = with_waiting_order(with_account(positions_each=0, margin=50.0, order_count=1))
    assert verdict(batch) is Verdict.ACCEPTED


@pytest.mark.parametrize("count", [0, 2])
def test_it_refuses_a_list_of_orders_that_is_not_complete(count: int) -> None:
    batch = with_waiting_order(with_account(order_count=count))
    assert verdict(batch) is Verdict.POSITIONS_MISMATCH


@pytest.mark.parametrize("count", [0, 2])
def test_it_refuses_a_list_of_positions_that_is_not_complete(count: int) -> None:
    assert verdict(with_account(position_count=count)) is Verdict.POSITIONS_MISMATCH


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (0.019, Verdict.ACCEPTED),
        (-0.019, Verdict.ACCEPTED),
        (0.021, Verdict.TORN),
        (-0.021, Verdict.TORN),
    ],
)
def test_it_allows_equity_to_differ_by_rounding_only(difference: float, expected: Verdict) -> None:
    batch = with_account()
    batch.accounts["equity"] += difference
    assert verdict(batch) is expected


def test_it_rounds_as_the_currency_does() -> None:
    batch = with_account(currency_digits=0)
    batch.accounts["equity"] += 1.9
    assert verdict(batch) is Verdict.ACCEPTED
    batch.accounts["equity"] += 0.2
    assert verdict(batch) is Verdict.TORN


@pytest.mark.parametrize(
    ("difference", "expected"), [(0.024, Verdict.ACCEPTED), (0.026, Verdict.TORN)]
)
def test_it_refuses_positions_of_another_moment(difference: float, expected: Verdict) -> None:
    batch = with_account()
    batch.positions["profit"] += difference  # half a cent more than above: one position
    assert verdict(batch) is expected


def test_it_counts_credit_and_swap() -> None:
    batch = with_account(credit=500.0)
    assert verdict(batch) is Verdict.TORN
    batch.accounts["equity"] += 500.0
    assert verdict(batch) is Verdict.ACCEPTED
    batch.positions["swap"] -= 1.0
    assert verdict(batch) is Verdict.TORN


@pytest.mark.parametrize("name", ["balance", "credit", "profit", "equity", "margin", "margin_free"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_it_accepts_no_number_that_is_none(name: str, value: float) -> None:
    batch = with_account()
    batch.accounts[name] = value
    assert verdict(batch) is Verdict.TORN


def test_it_judges_each_account_by_itself() -> None:
    batch = batch_of([1, 2, 3])
    batch.accounts["connected"][1] = False
    batch.positions["profit"][2] += 1.0
    zeros = np.zeros(3, dtype=np.int64)
    verdicts = check(batch, np.array([1, 2, 3]), zeros, zeros)
    assert verdicts.tolist() == [Verdict.ACCEPTED, Verdict.NOT_CONNECTED, Verdict.TORN]


def test_it_checks_nobody() -> None:
    nobody = np.zeros(0, np.int64)
    assert len(check(batch_of([]), nobody, nobody, nobody)) == 0


def test_it_accepts_no_other_currency_than_the_one_entered() -> None:
    assert verdict(with_account(), currency=1) is Verdict.OTHER_CURRENCY
    assert verdict(with_account(connected=False), currency=1) is Verdict.NOT_CONNECTED


def with_price(
    newest_msc: int, *, server: int = 0, symbol: int = 0, **account: int
) -> ReadingBatch:
    """Give a reading whose terminal knows a tick of 12:00:00, and a newest tick of a server.

    Its account is on server 0 and holds symbol 0.
    """
    prices = np.zeros(1, dtype=PRICE_DTYPE)
    prices["server"], prices["symbol"] = server, symbol
    prices["time_msc"] = NOON_MSC + newest_msc
    batch = with_account(tick_msc=NOON_MSC, **account)
    return replace(batch, prices=prices, symbols=("EURUSD", "BTCUSD"))


@pytest.mark.parametrize("shows_all_symbols", [False, True])
@pytest.mark.parametrize(
    ("newest_msc", "server", "expected"),
    [
        (0, 0, Verdict.ACCEPTED),
        (2_000, 0, Verdict.ACCEPTED),
        (2_001, 0, Verdict.PRICES_BEHIND),
        (-60_000, 0, Verdict.ACCEPTED),
        (60_000, 1, Verdict.ACCEPTED),
        (60_000, -1, Verdict.ACCEPTED),
    ],
)
def test_it_refuses_a_terminal_whose_prices_stand_still(
    newest_msc: int, server: int, expected: Verdict, shows_all_symbols: bool
) -> None:
    batch = with_price(newest_msc, server=server)
    assert verdict(replace(batch, shows_all_symbols=shows_all_symbols)) is expected


@pytest.mark.parametrize(
    ("shows_all_symbols", "expected"),
    [(False, Verdict.ACCEPTED), (True, Verdict.PRICES_BEHIND)],
)
@pytest.mark.parametrize("positions_each", [0, 1])
def test_it_asks_nobody_for_prices_of_symbols_that_only_others_show(
    shows_all_symbols: bool, expected: Verdict, positions_each: int
) -> None:
    batch = with_price(60_000, symbol=1, positions_each=positions_each)
    assert verdict(replace(batch, shows_all_symbols=shows_all_symbols)) is expected


def test_it_expects_a_terminal_to_know_the_symbol_of_an_order_that_waits() -> None:
    batch = with_price(60_000, symbol=1, order_count=1)
    orders = np.zeros(1, dtype=ORDER_DTYPE)
    orders["symbol"] = 1
    assert verdict(replace(batch, orders=orders)) is Verdict.PRICES_BEHIND

"""The batch read and the faults: both ways of asking give the same answer, whatever is wrong."""

import threading
from typing import Any

import numpy as np
import pytest

from accounts.terminals.link import LinkError, LinkTimeout
from accounts.terminals.readings import Outcome, ReadingBatch
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.batch_comparison import assert_equal_to_single_reads
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk


@pytest.fixture
def desk() -> Desk:
    """Five accounts in three currencies, with positions on several symbols, and closed ones."""
    desk = Desk()
    for number, currency in enumerate(["USD", "EUR", "GBP", "USD", "EUR"], start=1):
        login = desk.open_account(1000 + number, currency=currency, commission_per_lot=3.5)
        for lots in range(1, number):
            desk.buy(login, lots / 10, "EURGBP", magic=lots)
            desk.sell(login, lots / 20, "USDJPY", sl=170.0)
        ticket = desk.buy(login, 0.3, comment="part")
        desk.sell(login, 0.1, position=ticket)
        desk.server.charge_swap(ticket, -1.23)
        desk.clock.now += 1
    desk.server.set_prices("EURUSD", 1.0861, 1.0863)
    desk.server.set_prices("USDJPY", 150.9, 150.93)
    return desk


LOGINS = [1003, 1001, 1005, 1002, 1004]
NO_DEALS_SEEN = [0, 0, 0, 0, 0]


def _gap(desk: Desk, login: int) -> float:
    account, positions = desk.account(login), desk.positions(login)
    floating = sum(position["profit"] + position["swap"] for position in positions)
    return float(account["equity"] - account["balance"] - account["credit"] - floating)


def _batch_gap(batch: ReadingBatch, place: int) -> float:
    row = batch.accounts[place]
    mine = batch.positions[batch.positions["account"] == place]
    floating = float(mine["profit"].sum() + mine["swap"].sum())
    return float(row["equity"] - row["balance"] - row["credit"] - floating)


def test_it_reads_many_accounts_as_it_reads_each(desk: Desk) -> None:
    batch = desk.server.read_batch(LOGINS, NO_DEALS_SEEN)

    for place, login in enumerate(LOGINS):
        assert_equal_to_single_reads(desk, batch, place, login)
        assert abs(_batch_gap(batch, place)) < 1e-6
    assert batch.taken_at == desk.clock.now
    assert (np.diff(batch.positions["account"]) >= 0).all()
    assert (np.diff(batch.deals["account"]) >= 0).all()


def test_it_reads_on_after_positions_have_come_and_gone(desk: Desk) -> None:
    desk.server.read_batch(LOGINS, NO_DEALS_SEEN)
    for login in LOGINS:
        for position in desk.positions(login):
            desk.market(login, 1 - position["type"], position["volume"], position["symbol"],
                        position=position["ticket"])  # fmt: skip
    for _ in range(70):
        ticket = desk.buy(1002, 0.01)
        desk.sell(1002, 0.01, position=ticket)
    desk.sell(1004, 0.5, "AUDUSD")

    batch = desk.server.read_batch(LOGINS, NO_DEALS_SEEN)

    for place, login in enumerate(LOGINS):
        assert_equal_to_single_reads(desk, batch, place, login)


def test_it_values_positions_in_account_currency(desk: Desk) -> None:
    desk.server.set_prices("USDJPY", 150.0, 150.0)
    desk.server.set_prices("EURJPY", 162.93, 162.93)
    batch = desk.server.read_batch([1002], [0])
    by_symbol = {batch.symbols[row["symbol"]]: row for row in batch.positions}
    eurusd, usdjpy = by_symbol["EURUSD"], by_symbol["USDJPY"]
    mid = (1 / 1.0861 + 1 / 1.0863) / 2
    assert eurusd["notional"] == pytest.approx(0.2 * 100_000 * 1.0861 * mid, abs=0.01)
    assert usdjpy["notional"] == pytest.approx(0.05 * 100_000 * 150.0 / 162.93, abs=0.02)


def test_it_says_how_many_digits_the_prices_of_positions_have(desk: Desk) -> None:
    desk.buy(1002, 1.0, "GER40")
    batch = desk.server.read_batch([1002], [0])
    digits = {batch.symbols[row["symbol"]]: row["price_digits"] for row in batch.positions}
    assert (digits["EURUSD"], digits["USDJPY"], digits["GER40"]) == (5, 3, 1)


def test_it_sends_only_deals_after_the_cursor(desk: Desk) -> None:
    known = [deal["ticket"] for deal in desk.deals(1003)]
    batch = desk.server.read_batch([1003, 1001], [known[-3], known[-1] + 10**6])
    assert batch.deals["ticket"].tolist() == known[-2:]
    assert set(batch.deals["account"].tolist()) == {0}
    assert batch.accounts["last_deal"][0] == known[-1]


def test_it_answers_a_login_twice_and_an_unknown_one(desk: Desk) -> None:
    desk.server.set_enabled(1004, False)
    batch = desk.server.read_batch([1003, 99, 1003, 1004], [0, 0, 0, 0])

    assert batch.accounts["outcome"].tolist() == [
        Outcome.ANSWERED, Outcome.REFUSED, Outcome.ANSWERED, Outcome.REFUSED
    ]  # fmt: skip
    assert batch.accounts["error_code"].tolist() == [1, -6, 1, -6]
    for place in (0, 2):
        assert_equal_to_single_reads(desk, batch, place, 1003)
    with pytest.raises(LinkError):
        desk.account(1004)


def test_it_quotes_every_symbol_per_server(desk: Desk) -> None:
    desk.server.create_account(2001, PASSWORD, "Southwind-Live", "Other")
    batch = desk.server.read_batch([1001, 2001], [0, 0])
    assert batch.servers == (SERVER, "Southwind-Live")
    assert len(batch.prices) == 2 * len(batch.symbols)
    eurusd = batch.prices[batch.prices["symbol"] == batch.symbols.index("EURUSD")]
    assert eurusd["bid"].tolist() == [1.0861, 1.0861]


def test_it_reads_nothing_of_an_empty_list(desk: Desk) -> None:
    batch = desk.server.read_batch([], [])
    assert (len(batch.accounts), len(batch.positions), len(batch.prices)) == (0, 0, 0)


def test_it_logs_in_to_many_accounts(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.DISCONNECT_TERMINAL)
    desk.server.set_fault(1004, FaultKind.HANG)
    codes = desk.server.authorise_many(
        [(1001, PASSWORD, SERVER), (1002, "no", SERVER), (1003, PASSWORD, SERVER),
         (1004, PASSWORD, SERVER), (1002, PASSWORD, "Nowhere")]
    )  # fmt: skip
    assert codes == [1, -6, -10004, -10005, -4]


def test_it_loses_the_terminal(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.DISCONNECT_TERMINAL)

    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("account_info", ()), ("positions", (None, None, None)), ("terminal_info", ()),
        ("authorise", (PASSWORD, SERVER)), ("symbol_tick", ("EURUSD",)),
    ]  # fmt: skip
    for method, rest in calls:
        with pytest.raises(LinkError) as lost:
            desk.server.call(method, 1003, *rest)
        assert lost.value.code == -10004
    _assert_only_one_fails(desk, Outcome.NO_TERMINAL, -10004)

    desk.server.clear_fault(1003)
    batch = desk.server.read_batch(LOGINS, NO_DEALS_SEEN)
    assert_equal_to_single_reads(desk, batch, 0, 1003)


def _assert_only_one_fails(desk: Desk, outcome: Outcome, code: int) -> None:
    batch = desk.server.read_batch(LOGINS, NO_DEALS_SEEN)
    assert batch.accounts["outcome"].tolist() == [outcome, 0, 0, 0, 0]
    assert batch.accounts["error_code"][0] == code
    assert not (batch.positions["account"] == 0).any()
    for place, login in list(enumerate(LOGINS))[1:]:
        assert_equal_to_single_reads(desk, batch, place, login)


def test_it_answers_from_the_cache_while_cut_from_the_broker(desk: Desk) -> None:
    before = (desk.account(1003), desk.positions(1003), desk.deals(1003))
    desk.server.set_fault(1003, FaultKind.CUT_FROM_BROKER)
    desk.clock.now += 60
    desk.server.set_prices("EURUSD", 1.2, 1.2001)
    desk.server.deposit(1003, 500.0)

    assert (desk.account(1003), desk.positions(1003), desk.deals(1003)) == before
    assert desk.server.call("terminal_info", 1003)[2] is False
    assert desk.server.call("symbol_tick", 1003, "EURUSD")[1] == 1.0861
    assert desk.market(1003, 0, 0.1)[0] == mt5.TRADE_RETCODE_CONNECTION
    with pytest.raises(LinkTimeout):
        desk.server.call("authorise", 1003, PASSWORD, SERVER)
    batch = desk.server.read_batch(LOGINS, NO_DEALS_SEEN)
    assert batch.accounts["connected"].tolist() == [False, True, True, True, True]
    for place, login in enumerate(LOGINS):
        assert_equal_to_single_reads(desk, batch, place, login)

    desk.server.clear_fault(1003)
    assert desk.account(1003)["balance"] == before[0]["balance"] + 500.0


def test_it_answers_none(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.NONE)
    assert desk.server.call("account_info", 1003) is None
    assert desk.server.call("positions", 1003, None, None, None) is None
    assert desk.server.call("orders", 1003, None, None, None) is None
    assert desk.server.call("history_deals", 1003, 0, 2**31, None, None, None) is None
    assert desk.server.call("history_orders", 1003, 0, 2**31, None, None, None) is None
    assert desk.server.call("terminal_info", 1003)[2] is True
    _assert_only_one_fails(desk, Outcome.NONE, -1)


def test_it_answers_no_positions_before_it_has_synchronised(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.EMPTY)
    assert desk.positions(1003) == []
    assert desk.account(1003)["margin"] > 0
    batch = desk.server.read_batch(LOGINS, NO_DEALS_SEEN)
    for place, login in enumerate(LOGINS):
        assert_equal_to_single_reads(desk, batch, place, login)


def test_it_tears_account_and_positions_apart(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.TORN)
    batch = desk.server.read_batch(LOGINS, NO_DEALS_SEEN)

    assert abs(_gap(desk, 1003)) > 1
    assert _batch_gap(batch, 0) == pytest.approx(_gap(desk, 1003))
    for place, login in enumerate(LOGINS):
        assert_equal_to_single_reads(desk, batch, place, login)


def test_it_tears_an_account_without_positions_too(desk: Desk) -> None:
    flat = desk.open_account(1009)
    desk.server.set_fault(flat, FaultKind.TORN)
    assert abs(_gap(desk, flat)) > 1
    assert abs(_batch_gap(desk.server.read_batch([flat], [0]), 0)) > 1


def test_it_tears_one_reading_only_when_asked_to(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.TORN, once=True)
    gaps = [_batch_gap(desk.server.read_batch([1003], [0]), 0) for _ in range(2)]
    assert abs(gaps[0]) > 1
    assert abs(gaps[1]) < 1e-6

    desk.server.set_fault(1003, FaultKind.TORN, once=True)
    assert abs(_gap(desk, 1003)) > 1
    assert abs(_gap(desk, 1003)) < 1e-6


def test_it_answers_another_logins_data(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.WRONG_ACCOUNT, peer=1005)
    assert desk.account(1003)["login"] == 1005
    batch = desk.server.read_batch(LOGINS, NO_DEALS_SEEN)
    assert batch.accounts["login"].tolist() == [1005, 1001, 1005, 1002, 1004]
    for place, login in enumerate(LOGINS):
        assert_equal_to_single_reads(desk, batch, place, login)


def test_it_ends_a_fault_when_its_time_is_over(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.NONE, seconds=2.0)
    desk.clock.now += 1.9
    assert desk.server.call("account_info", 1003) is None
    desk.clock.now += 0.1
    assert desk.server.call("account_info", 1003) is not None


def test_it_hangs_one_account_and_no_other(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.HANG)
    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(desk.account(1003)))
    caller.start()

    _assert_only_one_is_silent(desk)
    assert caller.is_alive()
    assert answers == []

    desk.server.clear_fault(1003)
    caller.join(5)
    assert [answer["login"] for answer in answers] == [1003]


def _assert_only_one_is_silent(desk: Desk) -> None:
    _assert_only_one_fails(desk, Outcome.SILENT, -10005)
    assert desk.account(1001)["login"] == 1001
    desk.buy(1001, 0.01)


def test_it_gives_up_a_call_that_hangs_too_long(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.HANG, hang_seconds=0.01)
    with pytest.raises(LinkTimeout) as late:
        desk.account(1003)
    assert late.value.code == -10005


def test_it_ends_a_hang_with_the_time_of_its_fault(desk: Desk) -> None:
    desk.server.set_fault(1003, FaultKind.HANG, seconds=0.01, hang_seconds=60.0)
    desk.clock.now += 0.005
    assert desk.account(1003)["login"] == 1003

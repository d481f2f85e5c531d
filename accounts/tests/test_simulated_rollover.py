"""Swaps at the broker's midnight, and the settlement of contracts that expire."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.terminals.simulated.symbols.contracts import CURRENCY_INDEX
from accounts.terminals.simulated.trading import rollover
from accounts.tests.simulated_desk import Clock, Desk

EURUSD = CONTRACTS[CONTRACT_INDEX["EURUSD"]]
BTCUSD = CONTRACTS[CONTRACT_INDEX["BTCUSD"]]
UTC_ZONE = "UTC"
MONDAY = datetime(2026, 11, 16, 12, tzinfo=UTC)
EPOCH = date(1970, 1, 1)


def day_number(moment: date) -> int:
    return (moment - EPOCH).days


def monday_desk(**options: Any) -> Desk:
    """Return a desk whose broker's clock is UTC, on a Monday at noon."""
    options = {"clock": Clock(MONDAY.timestamp()), "zone_name": UTC_ZONE, **options}
    desk = Desk(**options)
    desk.clock = options["clock"]
    return desk


def pass_to(desk: Desk, moment: datetime) -> None:
    desk.clock.now = moment.timestamp()
    desk.server.step()


def swap_of(desk: Desk, login: int) -> float:
    (position,) = desk.positions(login)
    return float(position["swap"])


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the rollover find EURUSD with other swap terms than the catalogue's."""

    def offer(**terms: Any) -> None:
        changed = list(CONTRACTS)
        changed[CONTRACT_INDEX["EURUSD"]] = replace(EURUSD, **terms)
        monkeypatch.setattr(rollover, "CONTRACTS", tuple(changed))

    return offer


@pytest.mark.parametrize(
    ("mode", "long", "amount", "currency"),
    [
        (mt5.SYMBOL_SWAP_MODE_POINTS, True, -7.2 * 2, "USD"),
        (mt5.SYMBOL_SWAP_MODE_POINTS, False, 3.1 * 2, "USD"),
        (mt5.SYMBOL_SWAP_MODE_CURRENCY_SYMBOL, True, -14.4, "EUR"),
        (mt5.SYMBOL_SWAP_MODE_CURRENCY_MARGIN, False, 6.2, "EUR"),
        (mt5.SYMBOL_SWAP_MODE_INTEREST_CURRENT, True, -200_000 * 1.2 * 0.072 / 360, "USD"),
        (mt5.SYMBOL_SWAP_MODE_INTEREST_OPEN, True, -200_000 * 1.1 * 0.072 / 360, "USD"),
        (mt5.SYMBOL_SWAP_MODE_INTEREST_OPEN, False, 200_000 * 1.1 * 0.031 / 360, "USD"),
    ],
)
def test_it_works_out_a_night_in_every_mode(
    mode: int, long: bool, amount: float, currency: str
) -> None:
    one = np.ones(1)
    amounts, number = rollover.charge(
        replace(EURUSD, swap_mode=mode), np.array([long]), one * 2, one * 1.1, one * 1.2
    )
    assert amounts.tolist() == pytest.approx([amount])
    assert number == CURRENCY_INDEX[currency]


def test_it_takes_deposit_currency_as_it_is(offered: Callable[..., None]) -> None:
    offered(swap_mode=mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT, swap_long=-1.5)
    desk = monday_desk()
    login = desk.open_account(currency="GBP")
    desk.buy(login, 0.2)
    pass_to(desk, MONDAY + timedelta(days=1))
    assert swap_of(desk, login) == -0.3


@pytest.mark.parametrize(
    ("bid", "ask", "side", "swap"),
    [
        # A charge is bought at the ask of GBPUSD's reciprocal, a credit sold at its bid.
        (1.25, 1.26, "buy", -round(7.2 / 1.25, 2)),
        (1.25, 1.26, "sell", round(3.1 / 1.26, 2)),
    ],
)
def test_it_converts_charges_and_credits_at_the_worse_side(
    bid: float, ask: float, side: str, swap: float
) -> None:
    desk = monday_desk()
    login = desk.open_account(currency="GBP")
    desk.server.set_prices("GBPUSD", bid, ask)
    (desk.buy if side == "buy" else desk.sell)(login, 1.0)
    pass_to(desk, MONDAY + timedelta(days=1))
    assert swap_of(desk, login) == swap


@pytest.mark.parametrize(
    ("day", "forex", "crypto"),
    [
        (date(2026, 11, 16), 1, 1),  # Monday
        (date(2026, 11, 17), 1, 1),
        (date(2026, 11, 18), 3, 1),
        (date(2026, 11, 19), 1, 1),
        (date(2026, 11, 20), 1, 3),
        (date(2026, 11, 21), 0, 0),
        (date(2026, 11, 22), 0, 0),
    ],
)
def test_it_counts_seven_nights_a_week(day: date, forex: int, crypto: int) -> None:
    assert rollover.nights(EURUSD, day_number(day)) == forex
    assert rollover.nights(BTCUSD, day_number(day)) == crypto


def test_it_counts_no_night_of_a_contract_without_swaps() -> None:
    future = CONTRACTS[CONTRACT_INDEX["ESH30"]]
    assert {rollover.nights(future, day) for day in range(20_000, 20_007)} == {0}


def test_it_charges_at_midnight_and_not_before() -> None:
    desk = monday_desk()
    login = desk.open_account()
    desk.buy(login, 1.0)

    pass_to(desk, datetime(2026, 11, 16, 23, 59, 59, tzinfo=UTC))
    assert swap_of(desk, login) == 0.0
    pass_to(desk, datetime(2026, 11, 17, tzinfo=UTC))
    assert swap_of(desk, login) == -7.2
    pass_to(desk, datetime(2026, 11, 17, 0, 0, 1, tzinfo=UTC))
    assert swap_of(desk, login) == -7.2

    account = desk.account(login)
    floating = sum(position["profit"] + position["swap"] for position in desk.positions(login))
    assert account["profit"] == pytest.approx(floating)
    assert account["equity"] == pytest.approx(10_000 + floating)


def test_it_catches_up_on_missed_nights_one_by_one() -> None:
    desk = monday_desk()
    login = desk.open_account()
    desk.buy(login, 1.0)
    pass_to(desk, MONDAY + timedelta(days=7))
    assert swap_of(desk, login) == pytest.approx(-7.2 * 7)


def test_it_charges_no_position_for_a_night_before_it_was_opened() -> None:
    desk = monday_desk()
    old, new = desk.open_account(1), desk.open_account(2)
    desk.buy(old, 1.0)
    desk.clock.now = datetime(2026, 11, 17, 0, 5, tzinfo=UTC).timestamp()
    desk.buy(new, 1.0)  # before the server has taken its first step of the day
    desk.server.step()
    assert (swap_of(desk, old), swap_of(desk, new)) == (-7.2, 0.0)


def test_it_charges_by_the_broker_wall_clock() -> None:
    # New York + 7 h is UTC + 2 in winter: midnight comes at 22:00 UTC.
    clock = Clock(MONDAY.timestamp())
    desk = Desk(clock=clock)
    login = desk.open_account()
    desk.buy(login, 1.0)
    clock.now = datetime(2026, 11, 16, 21, 59, 59, tzinfo=UTC).timestamp()
    desk.server.step()
    assert swap_of(desk, login) == 0.0
    clock.now += 1
    desk.server.step()
    assert swap_of(desk, login) == -7.2


@pytest.mark.parametrize("zone", ["Europe/Athens", "America/Havana"])
@pytest.mark.parametrize(
    "start", [datetime(2026, month, day, 12, tzinfo=UTC) for month, day in ((3, 2), (10, 19))]
)
def test_it_charges_each_night_once_over_a_change_of_the_clock(zone: str, start: datetime) -> None:
    # Havana's clock goes back at 01:00 to 00:00, and forward at midnight itself.
    clock = Clock(start.timestamp())
    desk = Desk(clock=clock, zone_name=zone)
    login = desk.open_account(deposit=100_000.0)
    desk.buy(login, 1.0)
    for _ in range(28 * 24 * 2):
        clock.now += 1800
        desk.server.step()
    assert swap_of(desk, login) == pytest.approx(-7.2 * 28)


def test_it_realises_the_share_of_a_partial_close() -> None:
    desk = monday_desk()
    login = desk.open_account()
    ticket = desk.buy(login, 1.0)
    pass_to(desk, MONDAY + timedelta(days=1))

    desk.sell(login, 0.25, position=ticket)
    assert desk.deals(login)[-1]["swap"] == -1.8
    assert swap_of(desk, login) == -5.4
    desk.sell(login, 0.75, position=ticket)
    assert desk.deals(login)[-1]["swap"] == -5.4


def test_it_charges_a_night_once_over_restarts(tmp_path: Path) -> None:
    desk = monday_desk(home=tmp_path)
    login = desk.open_account()
    desk.buy(login, 1.0)
    desk.server.close()
    for hours in (11, 13, 14):  # one before midnight, two after it
        clock = Clock(MONDAY.timestamp() + hours * 3600)
        desk = monday_desk(home=tmp_path, clock=clock)
        desk.server.step()
        assert swap_of(desk, login) == (0.0 if hours == 11 else -7.2)
        desk.server.close()


def test_it_charges_a_night_once_over_a_crash(tmp_path: Path) -> None:
    desk = monday_desk(home=tmp_path / "home")
    login = desk.open_account()
    desk.buy(login, 1.0)
    pass_to(desk, MONDAY + timedelta(days=1))
    shutil.copytree(tmp_path / "home", tmp_path / "left")  # what a crash would leave behind
    desk.server.close()

    clock = Clock((MONDAY + timedelta(days=1, hours=1)).timestamp())
    again = monday_desk(home=tmp_path / "left", clock=clock)
    again.server.step()
    assert swap_of(again, login) == -7.2
    again.server.close()


@pytest.mark.parametrize(
    ("mode", "side", "opened"),
    [
        (mt5.SYMBOL_SWAP_MODE_REOPEN_CURRENT, "buy", 1.1010 + 0.000072),
        (mt5.SYMBOL_SWAP_MODE_REOPEN_CURRENT, "sell", 1.1012 + 0.000031),
        (mt5.SYMBOL_SWAP_MODE_REOPEN_BID, "buy", 1.1010 + 0.000072),
        (mt5.SYMBOL_SWAP_MODE_REOPEN_BID, "sell", 1.1010 + 0.000031),
    ],
)
def test_it_reopens_a_position_at_a_price_that_the_swap_moved(
    offered: Callable[..., None], mode: int, side: str, opened: float
) -> None:
    offered(swap_mode=mode)
    desk = monday_desk()
    login = desk.open_account()
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    ticket = (desk.buy if side == "buy" else desk.sell)(login, 1.0, sl=0.0, magic=7)
    desk.server.set_prices("EURUSD", 1.1010, 1.1012)

    pass_to(desk, MONDAY + timedelta(days=1))

    (position,) = desk.positions(login)
    assert (position["ticket"], position["identifier"]) == (ticket, ticket)
    assert position["price_open"] == round(opened, 5)
    assert position["swap"] == 0.0
    out, into = desk.deals(login)[-2:]
    sign, closed = (1, 1.1010) if side == "buy" else (-1, 1.1012)
    assert (out["entry"], into["entry"]) == (mt5.DEAL_ENTRY_OUT, mt5.DEAL_ENTRY_IN)
    assert out["profit"] == pytest.approx(sign * (closed - 1.1) * 100_000)
    assert out["type"] == 1 - into["type"] == 1 - position["type"]
    assert {deal["reason"] for deal in (out, into)} == {mt5.DEAL_REASON_ROLLOVER}
    assert {deal["position"] for deal in (out, into)} == {ticket}
    assert {deal["magic"] for deal in (out, into)} == {7}
    account = desk.account(login)
    assert account["balance"] == pytest.approx(10_000 + out["profit"])
    assert account["equity"] == pytest.approx(account["balance"] + position["profit"])
    assert account["margin"] == pytest.approx(1000 * position["price_open"], abs=0.01)


def future_desk(symbol: str) -> tuple[Desk, datetime]:
    """Return a desk an hour before a future expires; the broker's clock is UTC."""
    end = datetime.fromtimestamp(CONTRACTS[CONTRACT_INDEX[symbol]].expires_at, UTC)
    return monday_desk(clock=Clock((end - timedelta(hours=1)).timestamp())), end


def test_it_settles_an_expired_contract_at_the_last_price() -> None:
    desk, end = future_desk("ESH30")
    login = desk.open_account(deposit=100_000.0)
    desk.server.set_prices("ESH30", 7000.0, 7000.25)
    ticket = desk.buy(login, 2.0, "ESH30")
    desk.server.set_prices("ESH30", 7010.0, 7010.25)

    pass_to(desk, end - timedelta(seconds=1))
    assert len(desk.positions(login)) == 1
    pass_to(desk, end)

    assert desk.positions(login) == []
    deal = desk.deals(login)[-1]
    assert (deal["position"], deal["price"], deal["volume"]) == (ticket, 7010.0, 2.0)
    assert deal["profit"] == (7010.0 - 7000.25) / 0.25 * 12.5 * 2
    assert (deal["reason"], deal["comment"]) == (mt5.DEAL_REASON_CLIENT, "expired")
    assert desk.account(login)["margin"] == 0.0


def test_it_trades_no_expired_contract() -> None:
    desk, end = future_desk("ESH30")
    login = desk.open_account(deposit=100_000.0)
    row = desk.server.call("symbol_info", login, "ESH30")
    assert (row[16], row[18]) == (mt5.SYMBOL_TRADE_MODE_FULL, end.timestamp())
    pass_to(desk, end)
    row = desk.server.call("symbol_info", login, "ESH30")
    assert row[16] == mt5.SYMBOL_TRADE_MODE_DISABLED
    answer = desk.market(login, mt5.ORDER_TYPE_BUY, 1.0, "ESH30")
    assert answer[0] == mt5.TRADE_RETCODE_TRADE_DISABLED


def test_it_lets_orders_for_an_expired_contract_expire() -> None:
    desk, end = future_desk("ESH30")
    login = desk.open_account(deposit=100_000.0)
    desk.server.set_prices("ESH30", 7000.0, 7000.25)
    answer = desk.send(
        login, action=mt5.TRADE_ACTION_PENDING, symbol="ESH30", volume=1.0, price=6900.0,
        type=mt5.ORDER_TYPE_BUY_LIMIT, type_filling=mt5.ORDER_FILLING_RETURN,
    )  # fmt: skip
    assert answer[0] == mt5.TRADE_RETCODE_DONE, answer

    pass_to(desk, end)

    assert desk.server.call("orders", login, None, None, None) == []
    history = desk.server.call("history_orders", login, 0, 4_000_000_000, None, None, None)
    assert [row[9] for row in history if row[0] == answer[2]] == [mt5.ORDER_STATE_EXPIRED]

"""order_check and order_send: the same refusals, and figures that then come true."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.terminals.simulated import constants as mt5
from accounts.tests.simulated_desk import Desk

DEAL, PENDING, SLTP = mt5.TRADE_ACTION_DEAL, mt5.TRADE_ACTION_PENDING, mt5.TRADE_ACTION_SLTP
MODIFY, REMOVE = mt5.TRADE_ACTION_MODIFY, mt5.TRADE_ACTION_REMOVE
CLOSE_BY = mt5.TRADE_ACTION_CLOSE_BY
TAKEN = (mt5.TRADE_RETCODE_PLACED, mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_DONE_PARTIAL)
QUOTES = {
    "EURUSD": (1.1, 1.1002), "EURJPY": (160.0, 160.02), "GER40": (24_000.0, 24_001.4),
    "MSFT": (500.0, 500.02), "NQH30": (25_000.0, 25_000.5), "EURGBP": (0.86, 0.8602),
    "USDMXN": (18.3, 18.33),
}  # fmt: skip
MODES = [mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING, mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING,
         mt5.ACCOUNT_MARGIN_MODE_EXCHANGE]  # fmt: skip


@st.composite
def _requests(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a request: most make sense, some don't; tickets are places in what the account has."""
    symbol = draw(st.sampled_from(["EURUSD"] * 6 + list(QUOTES)))
    bid, ask = QUOTES[symbol]
    action = draw(st.sampled_from([DEAL] * 5 + [PENDING, PENDING, SLTP, MODIFY, REMOVE, CLOSE_BY]))
    request: dict[str, Any] = {
        "action": action, "symbol": symbol, "type_filling": draw(st.sampled_from([0, 0, 1, 2])),
        "volume": draw(st.sampled_from([0.01, 0.1, 0.3, 0.3, 1.0, 1.0, 2.0, 40.0, 700.0])),
        "type": draw(st.sampled_from([0, 1])), "deviation": 10,
    }  # fmt: skip
    request["price"] = ask if request["type"] == 0 else bid
    if action in (PENDING, MODIFY):
        request["type"] = draw(st.integers(2, 7))
        nearness = draw(st.sampled_from([0.97, 0.98, 0.99, 1.01, 1.03]))
        request["price"] = _near(bid, nearness)
        if request["type"] > 5:
            request["stoplimit"] = _near(bid, draw(st.sampled_from([0.98, 1.0, 1.02])))
    if draw(st.booleans()):
        request["sl"] = _near(bid, draw(st.sampled_from([0.95, 1.05])))
    request["place"] = draw(st.integers(0, 3)) if draw(st.booleans()) else None
    request["place_by"] = draw(st.integers(0, 3))
    return request


def _near(price: float, factor: float) -> float:
    """Return a price near another one, on every symbol's ticks."""
    near = price * factor
    return float(round(near)) if near > 1_000 else round(near, 2)


def _with_tickets(desk: Desk, request: dict[str, Any]) -> dict[str, Any]:
    request = dict(request)
    place, place_by = request.pop("place"), request.pop("place_by")
    positions, orders = desk.positions(1001), desk.orders(1001)
    if request["action"] in (MODIFY, REMOVE) and orders:
        order = orders[(place or 0) % len(orders)]
        request |= {"order": order["ticket"], "symbol": order["symbol"]}
    elif positions and (place is not None or request["action"] in (SLTP, CLOSE_BY)):
        position = positions[(place or 0) % len(positions)]
        request |= {"position": position["ticket"], "symbol": position["symbol"]}
        if request["action"] == DEAL:
            bid, ask = QUOTES[position["symbol"]]
            request |= {
                "type": 1 - position["type"],
                "price": bid if position["type"] == 0 else ask,
            }
        if request["action"] == CLOSE_BY:
            opposite = [other for other in positions if other["symbol"] == position["symbol"]
                        and other["type"] != position["type"]] or positions  # fmt: skip
            request["position_by"] = opposite[place_by % len(opposite)]["ticket"]
    return request


def _opened(mode: int, leverage: int, **options: Any) -> Desk:
    desk = Desk(always_open=True, **options)
    desk.open_account(1001, margin_mode=mode, deposit=30_000.0, leverage=leverage,
                      commission_per_lot=3.5, currency="EUR", stop_out_level=1.0)  # fmt: skip
    for symbol, (bid, ask) in QUOTES.items():
        desk.server.set_prices(symbol, bid, ask)
    return desk


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=150, deadline=None)
@given(requests=st.lists(_requests(), min_size=1, max_size=16), leverage=st.sampled_from([30, 500]))
def test_what_it_checks_comes_true(
    mode: int, requests: Sequence[dict[str, Any]], leverage: int
) -> None:
    desk = _opened(mode, leverage)
    for drawn in requests:
        request = _with_tickets(desk, drawn)
        before = desk.server.fingerprint()
        checked = desk.server.call("order_check", 1001, request)
        assert desk.server.fingerprint() == before

        sent = desk.send(1001, **request)

        if sent[0] not in TAKEN:
            assert (checked[0], checked[7]) == (sent[0], sent[7])
            assert desk.server.fingerprint() == before
            continue
        assert checked[0] == 0, (checked, sent)
        if request["action"] == DEAL and sent[0] == mt5.TRADE_RETCODE_PLACED:
            desk.pass_time(1)
        account = desk.account(1001)
        assert checked[1:7] == (
            account["balance"], account["equity"], account["profit"], account["margin"],
            account["margin_free"], account["margin_level"],
        )  # fmt: skip
        assert account["margin"] >= 0


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=25, deadline=None)
@given(requests=st.lists(_requests(), min_size=1, max_size=12))
def test_a_crash_between_commands_changes_nothing(
    mode: int, requests: Sequence[dict[str, Any]]
) -> None:
    """Whatever orders came before, books read back from the journal are the books that died."""
    with TemporaryDirectory() as folder:
        desk = _opened(mode, 100, home=Path(folder))
        for drawn in requests:
            desk.send(1001, **_with_tickets(desk, drawn))
            desk.pass_time(1)
        seen = _seen(desk)
        again = Desk(home=Path(folder), always_open=True)
        again.clock.now = desk.clock.now
        assert _seen(again) == seen


def _seen(desk: Desk) -> list[Any]:
    return [desk.account(1001), desk.positions(1001), desk.orders(1001), desk.deals(1001),
            desk.done_orders(1001)]  # fmt: skip

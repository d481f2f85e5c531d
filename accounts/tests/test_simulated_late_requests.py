"""Requests that arrive late: of whatever kind, and over a restart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.link import LinkTimeout
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.books_audit import audit, books_of
from accounts.tests.simulated_desk import Desk

LOGIN = 1001
LIMIT = {"action": mt5.TRADE_ACTION_PENDING, "symbol": "EURUSD", "volume": 0.1,
         "type": mt5.ORDER_TYPE_BUY_LIMIT, "price": 1.08, "comment": "late"}  # fmt: skip
Prepare = Callable[[Desk], dict[str, Any]]


def _desk(**options: Any) -> Desk:
    desk = Desk(always_open=True, **options)
    desk.open_account(LOGIN)
    desk.server.set_prices("EURUSD", 1.1, 1.1002)
    return desk


def _placing(_desk: Desk) -> dict[str, Any]:
    return LIMIT


def _moving(desk: Desk) -> dict[str, Any]:
    ticket = desk.wait_for(LOGIN, mt5.ORDER_TYPE_BUY_LIMIT, 0.1, 1.09)
    return {"action": mt5.TRADE_ACTION_MODIFY, "order": ticket, "price": 1.07}


def _removing(desk: Desk) -> dict[str, Any]:
    ticket = desk.wait_for(LOGIN, mt5.ORDER_TYPE_BUY_LIMIT, 0.1, 1.09)
    return {"action": mt5.TRADE_ACTION_REMOVE, "order": ticket}


def _stopping(desk: Desk) -> dict[str, Any]:
    ticket = desk.buy(LOGIN, 0.1)
    return {"action": mt5.TRADE_ACTION_SLTP, "position": ticket, "symbol": "EURUSD", "sl": 1.05}


def _closing_by(desk: Desk) -> dict[str, Any]:
    first, second = desk.buy(LOGIN, 0.1), desk.sell(LOGIN, 0.1)
    return {"action": mt5.TRADE_ACTION_CLOSE_BY, "position": first, "position_by": second}


def _look(desk: Desk) -> Any:
    orders = [(order["price_open"], order["comment"]) for order in desk.orders(LOGIN)]
    return orders, [position["sl"] for position in desk.positions(LOGIN)]


@pytest.mark.parametrize(
    ("prepare", "done"),
    [
        (_placing, ([(1.08, "late")], [])), (_moving, ([(1.07, "")], [])), (_removing, ([], [])),
        (_stopping, ([], [1.05])), (_closing_by, ([], [])),
    ],
)  # fmt: skip
def test_it_takes_effect_when_it_arrives(prepare: Prepare, done: Any) -> None:
    desk = _desk()
    request = prepare(desk)
    before = _look(desk)
    desk.server.add_fault(LOGIN, FaultKind.LATE, delay_seconds=3.0, times=1)
    with pytest.raises(LinkTimeout):
        desk.send(LOGIN, **request)
    desk.pass_time(2.9)
    assert _look(desk) == before != done
    desk.pass_time(0.1)
    assert _look(desk) == done
    audit(books_of(desk.server))


def test_it_is_refused_when_it_arrives_at_a_gone_position() -> None:
    desk = _desk()
    request = _stopping(desk)
    desk.server.add_fault(LOGIN, FaultKind.LATE, delay_seconds=3.0, times=1)
    with pytest.raises(LinkTimeout):
        desk.send(LOGIN, **request)
    desk.sell(LOGIN, 0.1, position=request["position"])
    settled = desk.server.fingerprint()
    desk.pass_time(3)
    assert desk.positions(LOGIN) == []
    assert desk.server.fingerprint() != settled, "the request is no longer on its way"
    desk.pass_time(60)
    assert desk.positions(LOGIN) == []


def test_a_wrong_one_is_not_even_on_its_way() -> None:
    desk = _desk()
    desk.server.add_fault(LOGIN, FaultKind.LATE, delay_seconds=3.0, times=1)
    before = desk.server.fingerprint()
    with pytest.raises(LinkTimeout):
        desk.send(LOGIN, **{**LIMIT, "price": 1.2})
    assert desk.server.fingerprint() == before


def test_a_restart_loses_none(tmp_path: Path) -> None:
    desk = _desk(home=tmp_path)
    for price in (1.08, 1.07):
        desk.server.add_fault(LOGIN, FaultKind.LATE, delay_seconds=3.0, times=1)
        with pytest.raises(LinkTimeout):
            desk.send(LOGIN, **{**LIMIT, "price": price})
    crashed = Desk(home=tmp_path, always_open=True)
    crashed.server.close()
    again = Desk(home=tmp_path, always_open=True)
    assert again.orders(LOGIN) == []
    again.pass_time(3)
    assert [order["price_open"] for order in again.orders(LOGIN)] == [1.08, 1.07]

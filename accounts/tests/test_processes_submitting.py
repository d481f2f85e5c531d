"""Orders that a host of real terminals sends without waiting, through a process for each."""

import queue
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.alike import AlikeOrders
from accounts.terminals.link import LinkError
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.terminal_host import SERVER, TerminalDesk, terminal_desk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
BUY = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[TerminalDesk]:
    with terminal_desk(tmp_path) as made:
        yield made


def held(desk: TerminalDesk, login: int) -> int:
    return len(desk.source.call("positions", login, None, None, None))


def test_it_has_orders_of_several_terminals_under_way_at_once(desk: TerminalDesk) -> None:
    desk.connected(1001, 1002)
    answers = [desk.source.submit("order_send", login, BUY, SERVER) for login in (1001, 1002)]
    assert [answer.result(5.0)[0] for answer in answers] == [10009, 10009]
    assert [held(desk, login) for login in (1001, 1002)] == [1, 1]


def test_it_sends_nothing_for_another_server_or_to_nobody(desk: TerminalDesk) -> None:
    desk.connected(1001)
    for login, server in ((1001, "Other-Live"), (7, SERVER)):
        error = desk.source.submit("order_send", login, BUY, server).exception(5.0)
        assert isinstance(error, LinkError)
        assert not error.may_have_executed
    assert held(desk, 1001) == 0


def test_it_sends_nothing_when_the_terminal_shows_another_account(desk: TerminalDesk) -> None:
    desk.connected(1001, 1002)
    desk.server.set_fault(1001, FaultKind.WRONG_ACCOUNT, peer=1002)
    error = desk.source.submit("order_send", 1001, BUY, SERVER).exception(5.0)
    assert isinstance(error, LinkError)
    assert not error.may_have_executed
    desk.server.clear_faults()
    assert [held(desk, login) for login in (1001, 1002)] == [0, 0]


def test_it_sends_orders_that_hardly_differ_and_tells_of_each_once(desk: TerminalDesk) -> None:
    desk.connected(1001, 1002)
    came: queue.SimpleQueue[Sequence[tuple[int, Any]]] = queue.SimpleQueue()
    orders = AlikeOrders(BUY, SERVER, [1001, 7, 1002], [0.1, 0.1, 0.2], [5, 6, 7])
    desk.source.submit_alike(orders, lambda answers, _=0.0: came.put(answers))
    told = [came.get(timeout=5.0) for _ in range(3)]
    assert came.empty()
    answers = dict(each for (each,) in told)
    assert [answers[place][0] for place in (0, 2)] == [10009, 10009]
    assert not answers[1].may_have_executed
    assert [held(desk, login) for login in (1001, 1002)] == [1, 1]

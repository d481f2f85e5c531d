"""Orders that nobody waits for: many under way at once, and none sent to the wrong account."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.link import LinkError, LinkTimeout
from accounts.terminals.registry import NoTerminals
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind, FaultSpec
from accounts.terminals.simulated.link import CODE_RECEIVE_FAILED
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.process import BrokerService
from accounts.tests.simulated_desk import SERVER, Desk

REQUEST = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1, "type": 0}
LOGINS = range(1001, 1101)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    for login in LOGINS:
        desk.open_account(login)
    return desk


@pytest.fixture
def service(desk: Desk, tmp_path: Path) -> Iterator[BrokerService]:
    service = BrokerService(desk.server, tmp_path)
    service.start()
    yield service
    service.stop()


@pytest.fixture
def broker(service: BrokerService, tmp_path: Path) -> Iterator[RemoteBroker]:
    client = RemoteBroker(tmp_path / "broker.json")
    yield client
    client.close()


def send(source: Any, login: int, server: str = SERVER) -> "Future[Any]":
    answer: Future[Any] = source.submit("order_send", login, REQUEST, server)
    return answer


def positions(desk: Desk, login: int) -> int:
    return len(desk.server.call("positions", login, None, None, None))


def test_it_sends_many_orders_through_one_connection(desk: Desk, broker: RemoteBroker) -> None:
    threads = threading.active_count()
    answers = [send(broker, login) for login in LOGINS]
    assert threading.active_count() <= threads + 6
    results = [answer.result(5.0) for answer in answers]
    assert {result[0] for result in results} == {mt5.TRADE_RETCODE_DONE}
    assert len({result[2] for result in results}) == len(LOGINS)
    assert all(positions(desk, login) == 1 for login in LOGINS)


@pytest.mark.parametrize("is_remote", [False, True])
def test_it_sends_many_in_one_piece(desk: Desk, broker: RemoteBroker, is_remote: bool) -> None:
    source = broker if is_remote else desk.server
    unwritable = {**REQUEST, "volume": object()}
    calls = [(login, REQUEST if login != 1003 else unwritable, SERVER) for login in LOGINS]
    calls[1] = (1002, REQUEST, "Another-Server")
    answers = source.submit_many("order_send", calls)
    assert len(answers) == len(LOGINS)
    others = [answer for place, answer in enumerate(answers) if place not in (1, 2)]
    assert {answer.result(5.0)[0] for answer in others} == {mt5.TRADE_RETCODE_DONE}
    error = answers[1].exception(5.0)
    assert isinstance(error, LinkError)
    assert not error.may_have_executed
    assert answers[2].exception(5.0) is not None
    assert [positions(desk, login) for login in range(1001, 1006)] == [1, 0, 0, 1, 1]


def test_many_fail_at_once_without_a_broker(tmp_path: Path) -> None:
    sources = (RemoteBroker(tmp_path / "broker.json"), NoTerminals())
    for source in sources:
        answers = source.submit_many("order_send", [(1, REQUEST, SERVER), (2, REQUEST, SERVER)])
        errors = [answer.exception(0) for answer in answers]
        assert [isinstance(error, LinkError) for error in errors] == [True, True]
        assert not any(error.may_have_executed for error in errors if isinstance(error, LinkError))


def test_it_lets_slow_answers_of_a_broker_overlap(broker: RemoteBroker) -> None:
    broker.random_faults(1, {FaultKind.LATENCY: 1.0}, median_seconds=0.2)
    began = time.monotonic()
    done, _ = wait([send(broker, login) for login in LOGINS], timeout=10.0)
    # One after another they would take twenty seconds.
    assert len(done) == len(LOGINS)
    assert time.monotonic() - began < 10.0
    assert all(answer.result()[0] == mt5.TRADE_RETCODE_DONE for answer in done)


def test_it_lets_others_pass_one_that_hangs(desk: Desk, broker: RemoteBroker) -> None:
    desk.server.set_fault(1001, FaultKind.HANG)
    hung, *others = [send(broker, login) for login in LOGINS]
    assert all(answer.result(5.0)[0] == mt5.TRADE_RETCODE_DONE for answer in others)
    assert not hung.done()
    desk.server.clear_fault(1001)
    assert hung.result(5.0)[0] == mt5.TRADE_RETCODE_DONE


@pytest.mark.parametrize("is_remote", [False, True])
def test_it_carries_faults_across(desk: Desk, broker: RemoteBroker, is_remote: bool) -> None:
    source = broker if is_remote else desk.server
    desk.server.set_fault(1001, FaultKind.TIMEOUT_BEFORE)
    desk.server.set_fault(1002, FaultKind.TIMEOUT_AFTER)
    desk.server.set_fault(1003, FaultKind.DISCONNECT_TERMINAL)
    answers = [send(source, login) for login in (1001, 1002, 1003)]
    assert [type(answer.exception(5.0)) for answer in answers[:2]] == [LinkTimeout, LinkTimeout]
    error = answers[2].exception(5.0)
    assert isinstance(error, LinkError)
    assert not error.may_have_executed
    assert [positions(desk, login) for login in (1001, 1002)] == [0, 1]


@pytest.mark.parametrize("is_remote", [False, True])
@pytest.mark.parametrize("kind", [FaultKind.WRONG_ACCOUNT, FaultKind.NONE])
def test_it_sends_nothing_when_another_account_would_answer(
    desk: Desk, broker: RemoteBroker, is_remote: bool, kind: FaultKind
) -> None:
    spec = FaultSpec(kind=kind, peer=1002 if kind is FaultKind.WRONG_ACCOUNT else None)
    desk.server.script_faults(1001, [spec])
    error = send(broker if is_remote else desk.server, 1001).exception(5.0)
    assert isinstance(error, LinkError)
    assert not error.may_have_executed
    desk.server.clear_faults()
    assert [positions(desk, login) for login in (1001, 1002)] == [0, 0]


def test_it_sends_nothing_to_a_login_of_another_server(desk: Desk, broker: RemoteBroker) -> None:
    error = send(broker, 1001, "Other-Live").exception(5.0)
    assert isinstance(error, LinkError)
    assert not error.may_have_executed
    assert positions(desk, 1001) == 0


def test_it_gives_up_on_what_is_never_answered(
    desk: Desk, service: BrokerService, tmp_path: Path
) -> None:
    desk.server.set_fault(1001, FaultKind.HANG)
    hasty = RemoteBroker(tmp_path / "broker.json", timeout_seconds=0.05)
    assert isinstance(send(hasty, 1001).exception(5.0), LinkTimeout)
    desk.server.clear_fault(1001)
    hasty.close()


def test_it_fails_what_is_under_way_when_the_line_breaks_and_finds_the_next_broker(
    desk: Desk, service: BrokerService, broker: RemoteBroker, tmp_path: Path
) -> None:
    desk.server.set_fault(1001, FaultKind.HANG)
    hung = send(broker, 1001)
    assert send(broker, 1002).result(5.0)[0] == mt5.TRADE_RETCODE_DONE
    service.stop()
    error = hung.exception(5.0)
    assert isinstance(error, LinkError)
    assert error.code == CODE_RECEIVE_FAILED
    nobody = send(broker, 1003).exception(5.0)
    assert isinstance(nobody, LinkError)
    again = BrokerService(desk.server, tmp_path)
    again.start()
    assert send(broker, 1003).result(5.0)[0] == mt5.TRADE_RETCODE_DONE
    again.stop()


def test_it_answers_for_a_host_without_terminals() -> None:
    error = send(NoTerminals(), 1001).exception(0.0)
    assert isinstance(error, LinkError)
    assert not error.may_have_executed

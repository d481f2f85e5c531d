"""The child as a process of its own: what its host sees of it, whatever happens."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accounts.terminals.child.frames import (
    HEADER,
    LAYOUT,
    Failure,
    Farewell,
    Kind,
    Reading,
    failure_of,
    frame,
    hello_of,
)
from accounts.terminals.readings import Outcome
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.service.process import BrokerService
from accounts.tests.child_comparison import assert_equal_to_batch
from accounts.tests.child_process import Child, against_broker
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

BUY = {
    "action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1,
    "type": mt5.ORDER_TYPE_BUY, "type_filling": mt5.ORDER_FILLING_FOK,
}  # fmt: skip
ALONE = [sys.executable, "-m", "accounts.terminals.mt5"]


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    desk.open_account(1001)
    desk.open_account(1002, currency="EUR")
    desk.buy(1001, 0.1)
    yield desk
    desk.server.close()


@pytest.fixture
def home(desk: Desk, tmp_path: Path) -> Iterator[Path]:
    service = BrokerService(desk.server, tmp_path)
    service.start()
    yield tmp_path
    service.stop()


@pytest.fixture
def child(home: Path) -> Iterator[Child]:
    with Child(against_broker(home)) as child:
        yield child


def broken_package(folder: Path, source: str) -> dict[str, str]:
    """Put a MetaTrader5 of another kind in the way of the real one."""
    folder.mkdir()
    (folder / "MetaTrader5.py").write_text(source)
    return {"PYTHONPATH": str(folder)}


def has_outcome(outcome: Outcome) -> Callable[[Reading], bool]:
    return lambda reading: bool(reading.account["outcome"][0] == outcome)


def test_it_reads_an_account_from_its_login_to_the_end(desk: Desk, child: Child) -> None:
    hello = hello_of(child.wait_for(lambda each: each.kind is Kind.HELLO).payload)
    assert (hello.layout, hello.pid, hello.package) == (LAYOUT, child.process.pid, "5.0.6231")
    assert child.log_in() == (1001, SERVER)
    child.move_cursor(0)

    assert_equal_to_batch(child.fresh_reading(), desk.server.read_batch([1001], [0]))

    desk.server.set_prices("EURUSD", 1.0950, 1.0951)
    assert_equal_to_batch(child.fresh_reading(), desk.server.read_batch([1001], [0]))

    result = child.call("order_send", 1001, BUY, send_by=time.time() + 60.0)
    assert result[0] == mt5.TRADE_RETCODE_DONE
    reading = child.reading()
    assert reading.positions["ticket"].tolist()[1:] == [result[2]]
    assert reading.deals["ticket"].tolist()[2:] == [result[1]]

    child.move_cursor(int(reading.deals["ticket"][-1]))
    assert len(child.reading().deals) == 0

    child.send(HEADER.pack(Kind.STOP, 0, 0))
    assert child.farewell().farewell is Farewell.STOPPED
    assert child.exit_code() == 0


def test_it_sends_a_reading_only_when_something_changed(child: Child) -> None:
    child.log_in()
    child.move_cursor(0)
    child.fresh_reading()
    child.fresh_reading()

    assert [each.kind for each in child.frames].count(Kind.READING) == 1


def test_it_reads_nothing_before_it_knows_whom_and_from_where(child: Child) -> None:
    child.wait_for(lambda each: each.kind is Kind.SAME)
    child.log_in()
    child.wait_for(lambda each: each.kind is Kind.SAME)
    child.wait_for(lambda each: each.kind is Kind.SAME)

    assert Kind.READING not in [each.kind for each in child.frames]


def test_it_says_why_a_login_was_refused_and_takes_the_next(child: Child) -> None:
    refused = child.log_in(password="wrong " + PASSWORD)
    assert isinstance(refused, Failure)
    assert (refused.code, refused.may_have_executed) == (-6, False)

    assert child.log_in() == (1001, SERVER)
    child.move_cursor(0)
    assert child.fresh_reading().account["login"][0] == 1001
    assert PASSWORD not in child.log.decode()
    assert PASSWORD.encode() not in b"".join(each.payload for each in child.frames)


def test_it_shows_the_account_that_answers(desk: Desk, child: Child) -> None:
    child.log_in()
    child.move_cursor(0)
    child.fresh_reading()
    desk.server.set_fault(1001, FaultKind.WRONG_ACCOUNT, peer=1002)

    reading = child.reading(lambda each: bool(each.account["login"][0] == 1002))
    assert reading.currency == "EUR"
    refused = child.call("order_send", 1001, BUY)

    assert isinstance(refused, Failure)
    assert not refused.may_have_executed
    assert len(desk.positions(1002)) == 0


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [(FaultKind.NONE, Outcome.NONE), (FaultKind.DISCONNECT_TERMINAL, Outcome.NO_TERMINAL)],
)
def test_it_goes_on_after_a_fault(
    desk: Desk, child: Child, kind: FaultKind, outcome: Outcome
) -> None:
    child.log_in()
    child.move_cursor(0)
    child.fresh_reading()
    desk.server.set_fault(1001, kind)
    assert len(child.reading(has_outcome(outcome)).positions) == 0

    desk.server.clear_faults()

    assert len(child.reading(has_outcome(Outcome.ANSWERED)).positions) == 1


def test_it_says_when_there_is_no_terminal(tmp_path: Path) -> None:
    with Child(against_broker(tmp_path)) as child:
        failure = child.log_in()

        assert isinstance(failure, Failure)
        assert failure.code == -10004


@pytest.mark.parametrize("is_killed", [True, False])
def test_it_loses_no_deal_over_reconnects(desk: Desk, home: Path, *, is_killed: bool) -> None:
    stored: list[int] = []
    for _ in range(2):
        with Child(against_broker(home)) as child:
            child.log_in()
            child.move_cursor(max(stored, default=0))
            desk.buy(1001, 0.01)
            fresh = child.fresh_reading().deals["ticket"].tolist()
            stored += fresh
            desk.buy(1001, 0.01)  # nobody stores this one before the child is gone
            if is_killed:
                child.process.kill()
            else:
                child.close_input()
            child.exit_code()
    with Child(against_broker(home)) as child:
        child.log_in()
        child.move_cursor(max(stored))
        stored += child.fresh_reading().deals["ticket"].tolist()

    assert stored == [deal["ticket"] for deal in desk.deals(1001)]
    assert len(stored) == 6


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", HEADER.pack(Kind.READING, 0, 0), HEADER.pack(Kind.REQUEST, 0, 0)],
)
def test_it_leaves_a_host_that_sends_garbage(child: Child, garbage: bytes) -> None:
    child.send(garbage)

    bye = child.farewell()

    assert bye.farewell is Farewell.GARBAGE
    assert bye.sentence.endswith(".")
    assert child.exit_code() == Farewell.GARBAGE


def test_it_leaves_with_its_host(child: Child) -> None:
    child.log_in()
    child.close_input()

    assert child.farewell().farewell is Farewell.STOPPED
    assert child.exit_code() == 0


def test_it_leaves_with_its_host_in_the_middle_of_a_call(desk: Desk, child: Child) -> None:
    child.log_in()
    child.move_cursor(0)
    child.fresh_reading()
    desk.server.set_fault(1001, FaultKind.HANG, hang_seconds=60.0)
    child.ask("account_info", 1001)
    child.close_input()

    assert child.exit_code() == 0
    desk.server.clear_faults()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_it_leaves_ctrl_c_to_its_host(child: Child) -> None:
    child.log_in()
    os.kill(child.process.pid, signal.SIGINT)
    child.move_cursor(0)

    assert child.fresh_reading().account["login"][0] == 1001


def test_it_says_that_the_package_is_missing(tmp_path: Path) -> None:
    with Child(ALONE, PYTHONPATH=str(tmp_path)) as child:
        assert hello_of(child.wait_for(lambda each: True).payload).package == ""
        bye = child.farewell()

        assert bye.farewell is Farewell.NO_PACKAGE
        assert bye.sentence == "The MetaTrader5 package is not installed on this terminal host."
        assert child.exit_code() == Farewell.NO_PACKAGE


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import no_such_library", "ModuleNotFoundError"),
        ("raise ImportError('DLL load failed')", "ImportError"),
        ("raise SystemExit('no')", "SystemExit"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_it_says_that_the_package_is_broken(tmp_path: Path, source: str, name: str) -> None:
    with Child(ALONE, **broken_package(tmp_path / "packages", source)) as child:
        bye = child.farewell()

        assert bye.farewell is Farewell.NO_PACKAGE
        assert bye.sentence == f"The MetaTrader5 package cannot be imported ({name})."


PRINTING = """
import os, sys
from accounts.terminals.simulated.package import connect
print("loading")
sys.stdout.write("loaded")
module = connect({home!r})
globals().update(vars(module))

def account_info():
    os.write(1, b"a library's own note")
    print("another", flush=True)
    assert sys.stdin.read() == ""
    return module.account_info()
"""


def test_it_keeps_what_a_library_prints_out_of_its_frames(desk: Desk, home: Path) -> None:
    packages = broken_package(home / "packages", PRINTING.format(home=str(home)))
    with Child(ALONE, **packages) as child:
        child.log_in()
        child.move_cursor(0)

        assert_equal_to_batch(child.fresh_reading(), desk.server.read_batch([1001], [0]))

        child.close_input()
        child.farewell()
    assert b"a library's own note" in child.log


RAISING = """
from accounts.terminals.simulated.package import connect
module = connect({home!r})
globals().update(vars(module))

def orders_get():
    raise RuntimeError("a defect")

def shutdown():
    raise RuntimeError("another")
"""


def test_it_says_goodbye_when_it_fails(home: Path) -> None:
    packages = broken_package(home / "packages", RAISING.format(home=str(home)))
    with Child(ALONE, **packages) as child:
        child.log_in()
        child.move_cursor(0)

        bye = child.farewell()

        assert bye.farewell is Farewell.CRASHED
        assert bye.sentence == "The terminal's process failed with RuntimeError."
        assert child.exit_code() == Farewell.CRASHED


@pytest.mark.parametrize("poll_ms", ["4", "201", "fast"])
def test_it_starts_with_a_sensible_pace_only(poll_ms: str) -> None:
    with Child([*ALONE, "--poll-ms", poll_ms]) as child:
        assert child.exit_code() == 2
    assert not child.frames


def test_it_sends_no_order_that_waits_when_its_host_gives_it_up(desk: Desk, child: Child) -> None:
    child.log_in()
    before = desk.server.call("positions", 1001, None, None, None)
    desk.server.add_fault(1001, FaultKind.HANG, calls=("terminal_info",), hang_seconds=0.5)
    child.ask("terminal_info", 1001)
    number = child.ask("order_send", 1001, BUY)
    child.send(frame(Kind.STOP))

    failed = child.wait_for(lambda each: each.request_id == number)
    assert failed.kind is Kind.FAILED
    assert not failure_of(failed.payload).may_have_executed
    assert child.exit_code() == 0
    assert desk.server.call("positions", 1001, None, None, None) == before

"""The broker as a process: clients, restarts, and what a hung account may not do."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accounts.terminals.link import LinkError, LinkTimeout
from accounts.terminals.readings import Outcome
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.link import CODE_RECEIVE_FAILED
from accounts.terminals.simulated.prices.timeframes import RATES_DTYPE
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.process import (
    ADDRESS_FILE,
    CRASH_STATUS,
    BrokerService,
    HomeInUse,
    HomeLock,
)
from accounts.terminals.simulated.service.wire import WireError, decode, encode, introduce
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

REPOSITORY = Path(__file__).parents[2]
ACCOUNTS = [
    {"login": 1001, "password": PASSWORD, "server": SERVER, "name": "A", "deposit": 10_000.0},
    {"login": 1002, "password": PASSWORD, "server": SERVER, "name": "B", "currency": "EUR"},
]


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.open_account(1001)
    desk.open_account(1002)
    return desk


@pytest.fixture
def broker(desk: Desk, tmp_path: Path) -> Iterator[RemoteBroker]:
    service = BrokerService(desk.server, tmp_path)
    service.start()
    client = RemoteBroker(tmp_path / "broker.json", timeout_seconds=5.0)
    yield client
    client.close()
    service.stop()


def _order(login: int, lots: float) -> tuple[str, int, dict[str, Any]]:
    request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": lots, "type": 0}
    return "order_send", login, request


def test_it_answers_a_client_as_it_answers_in_process(desk: Desk, broker: RemoteBroker) -> None:
    broker.call("authorise", 1001, PASSWORD, SERVER)
    assert broker.call(*_order(1001, 0.1))[0] == mt5.TRADE_RETCODE_DONE

    calls: list[tuple[str, tuple[Any, ...]]] = [
        ("account_info", ()), ("positions", (None, None, None)), ("orders", (None, None, None)),
        ("symbols", ("*USD",)), ("history_deals", (0, 2**31, None, None, None)),
        ("terminal_info", ()),
    ]  # fmt: skip
    for method, rest in calls:
        there, here = broker.call(method, 1001, *rest), desk.server.call(method, 1001, *rest)
        assert there == here
        assert type(there) is type(here)
    rates = broker.call("rates", 1001, "EURUSD", 1, None, None, 0, 10)
    assert rates.dtype == RATES_DTYPE
    batch = broker.read_batch([1001, 1002], [0, 0])
    assert batch.accounts["equity"].tolist() == [desk.account(1001)["equity"], 10_000.0]
    here = desk.server.read_batch([1001, 1002], [0, 0])
    assert (batch.symbols, batch.servers) == (here.symbols, (SERVER,))


def test_it_carries_errors_across(broker: RemoteBroker) -> None:
    with pytest.raises(LinkError) as refused:
        broker.call("authorise", 1001, "wrong", SERVER)
    assert (refused.value.code, refused.value.text) == (-6, "Terminal: Authorization failed")
    with pytest.raises(ValueError, match="no account 99"):
        broker.deposit(99, 5.0)
    with pytest.raises(LinkError):
        broker.call("__init__")
    assert broker.call("account_info", 1001)[0] == 1001


def test_it_administers_from_afar(desk: Desk, broker: RemoteBroker) -> None:
    assert broker.create_account(1003, "p", SERVER, "C", currency="GBP", deposit=50.0) is True
    assert broker.create_account(1003, "p", SERVER, "C") is False
    broker.set_prices("EURUSD", 1.2, 1.3)
    broker.set_robot(1003, {"strategy": "trend", "symbols": ["EURUSD"]})
    listed = {account["login"]: account for account in broker.accounts()}
    assert listed[1003]["robot"]["strategy"] == "trend"
    assert listed[1003]["equity"] == 50.0
    assert broker.fingerprint() == desk.server.fingerprint()
    assert broker.authorise_many([(1003, "p", SERVER), (1003, "q", SERVER)]) == [1, -6]


def test_it_serves_others_while_an_account_hangs(broker: RemoteBroker) -> None:
    broker.set_fault(1002, FaultKind.HANG)
    answers: list[Any] = []
    hung = threading.Thread(target=lambda: answers.append(broker.call("account_info", 1002)))
    hung.start()

    assert broker.call("account_info", 1001)[0] == 1001
    outcomes = broker.read_batch([1001, 1002], [0, 0]).accounts["outcome"].tolist()
    assert outcomes == [Outcome.ANSWERED, Outcome.SILENT]
    assert hung.is_alive()

    broker.clear_fault(1002)
    hung.join(5)
    assert answers[0][0] == 1002


def test_it_gives_up_waiting_after_its_limit(broker: RemoteBroker, tmp_path: Path) -> None:
    broker.set_fault(1002, FaultKind.HANG)
    hasty = RemoteBroker(tmp_path / "broker.json", timeout_seconds=0.05)
    with pytest.raises(LinkTimeout):
        hasty.call("account_info", 1002)
    broker.clear_fault(1002)
    assert broker.call("account_info", 1002)[0] == 1002
    hasty.close()


def test_it_takes_orders_from_many_threads(desk: Desk, broker: RemoteBroker) -> None:
    def trade() -> None:
        for _ in range(10):
            broker.call(*_order(1001, 0.01))

    threads = [threading.Thread(target=trade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    tickets = [position["ticket"] for position in desk.positions(1001)]
    assert len(set(tickets)) == len(tickets) == 40


def test_it_admits_nobody_without_the_key(broker: RemoteBroker, tmp_path: Path) -> None:
    address = json.loads((tmp_path / "broker.json").read_text())
    assert (tmp_path / "broker.json").stat().st_mode & 0o077 == 0
    stranger = socket.create_connection((address["host"], address["port"]), 2)
    with pytest.raises(WireError):
        introduce(stranger, b"\0" * 32)
    stranger.close()
    assert broker.is_reachable()


def test_it_says_that_nobody_is_there(tmp_path: Path) -> None:
    client = RemoteBroker(tmp_path / "broker.json")
    with pytest.raises(LinkError) as alone:
        client.call("version")
    assert alone.value.code == -10004
    assert not client.is_reachable()


def test_it_locks_its_home(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    with pytest.raises(HomeInUse):
        HomeLock(tmp_path)
    lock.release()
    HomeLock(tmp_path).release()


@pytest.mark.parametrize(
    "value",
    [None, True, 2**63, -1, 1.5, "Ω", b"\0", (1, (2, "x")), {"a": (1,)}, float("inf")],
)
def test_it_carries_plain_values(value: Any) -> None:
    assert decode(encode(value)) == value


def test_it_carries_arrays_and_nothing_else() -> None:
    rates = np.zeros(3, dtype=RATES_DTYPE)
    rates["close"] = 1.5
    carried = decode(encode(rates))
    assert carried.dtype == rates.dtype
    assert (carried == rates).all()
    assert decode(encode(np.float64(1.5))) == 1.5
    with pytest.raises(TypeError):
        encode(object())


class Process:
    """A broker process of its own, as `serve` runs it."""

    def __init__(self, home: Path, *options: str) -> None:
        command = [sys.executable, "-m", "accounts.terminals.simulated", "--home", str(home)]
        self.process = subprocess.Popen(  # noqa: S603 (our own module)
            [*command, *options], cwd=REPOSITORY, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.client = RemoteBroker(home / "broker.json")

    def wait_until_ready(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        self.process.communicate(timeout=10)
        return self.process.returncode


def test_it_survives_kill_9_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    home, accounts = tmp_path / "home", tmp_path / "accounts.json"
    accounts.write_text(json.dumps(ACCOUNTS))
    first = Process(home, "--accounts", str(accounts), "--always-open")
    assert first.wait_until_ready().startswith("broker ready")
    broker = first.client
    accepted = [broker.call(*_order(1001, 0.01))[2] for _ in range(20)]

    second = Process(home)
    _, complaint = second.process.communicate(timeout=10)
    assert second.process.returncode == 2
    assert "already runs" in complaint

    first.end(signal.SIGKILL)
    with pytest.raises(LinkError):
        broker.call("version")
    third = Process(home, "--accounts", str(accounts), "--always-open")
    third.wait_until_ready()
    assert [row[0] for row in broker.call("positions", 1001, None, None, None)] == accepted
    assert broker.call(*_order(1001, 0.01))[2] > accepted[-1]

    tick = broker.call("symbol_tick", 1001, "EURUSD")
    deadline = time.monotonic() + 10
    while broker.call("symbol_tick", 1001, "EURUSD") == tick and time.monotonic() < deadline:
        time.sleep(0.02)
    assert broker.call("symbol_tick", 1001, "EURUSD") != tick
    assert third.end(signal.SIGTERM) == 0
    assert not (home / "broker.json").exists()
    broker.close()


def test_it_ends_cleanly_however_often_it_is_asked(tmp_path: Path) -> None:
    broker = Process(tmp_path)
    broker.wait_until_ready()
    for _ in range(200):
        broker.process.send_signal(signal.SIGTERM)
    broker.process.communicate(timeout=10)
    assert broker.process.returncode == 0
    broker.client.close()


@pytest.mark.parametrize(("moment", "kept"), [("before", 1), ("after", 2)])
def test_a_crash_loses_no_order_on_disk_and_leaves_no_other(
    tmp_path: Path, moment: str, kept: int
) -> None:
    home, accounts = tmp_path / "home", tmp_path / "accounts.json"
    accounts.write_text(json.dumps(ACCOUNTS))
    first = Process(home, "--accounts", str(accounts), "--always-open")
    first.wait_until_ready()
    first.client.call(*_order(1001, 0.01))
    first.client.add_fault(1001, FaultKind.CRASH_BROKER, moment=moment)
    with pytest.raises(LinkError) as broken:
        first.client.call(*_order(1001, 0.02))
    assert broken.value.code == CODE_RECEIVE_FAILED
    first.process.communicate(timeout=10)
    assert first.process.returncode == CRASH_STATUS
    first.client.close()

    second = Process(home)
    second.wait_until_ready()
    assert len(second.client.call("positions", 1001, None, None, None)) == kept
    assert second.client.faults() == []
    second.client.close()
    assert second.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("EURUSD_M1.csv", "not a bar\n", "line 1"), (None, None, "no folder with exports")],
)
def test_it_does_not_start_on_bad_prices(
    tmp_path: Path, name: str | None, content: str | None, reason: str
) -> None:
    prices = tmp_path / "prices"
    prices.mkdir()
    if name is not None and content is not None:
        (prices / name).write_text(content)
    process = Process(tmp_path / "home", "--prices", str(prices))
    _, complaint = process.process.communicate(timeout=10)
    assert process.process.returncode == 2
    assert reason in complaint
    assert "Traceback" not in complaint


def test_programs_of_different_versions_do_not_talk(
    tmp_path: Path, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    service = BrokerService(desk.server, tmp_path)
    service.start()
    client = RemoteBroker(tmp_path / ADDRESS_FILE)
    try:
        address = json.loads((tmp_path / ADDRESS_FILE).read_text())
        for layout in ({"layout": 1}, {"layout": 1}):
            (tmp_path / ADDRESS_FILE).write_text(json.dumps({**address, **layout}))
            with pytest.raises(LinkError) as refused:
                client.server_time()
            assert refused.value.code == mt5.RES_E_INVALID_VERSION
        assert caplog.text.count("are of different versions: restart both") == 1
        (tmp_path / ADDRESS_FILE).write_text(json.dumps(address))
        assert client.server_time() > 0
    finally:
        client.close()
        service.stop()

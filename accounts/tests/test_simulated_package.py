"""The simulated broker in the place of the MetaTrader5 package."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from accounts.terminals.simulated.constants import CONSTANTS
from accounts.terminals.simulated.package import connect, install, main
from accounts.terminals.simulated.prices.timeframes import RATES_DTYPE
from accounts.terminals.simulated.service.process import ADDRESS_FILE, BrokerService
from accounts.terminals.simulated.surface.tuples import AccountInfo
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("borrowed_program.py")
SYMBOL = "EURUSD.r"


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    desk.server.create_server(SERVER, suffix=".r")
    desk.open_account(1001)
    desk.server.set_prices("EURUSD", 1.0870, 1.0871)
    yield desk
    desk.server.close()


@pytest.fixture
def home(desk: Desk, tmp_path: Path) -> Iterator[Path]:
    service = BrokerService(desk.server, tmp_path)
    service.start()
    yield tmp_path
    service.stop()


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delitem(sys.modules, "MetaTrader5", raising=False)
    yield
    sys.modules.pop("MetaTrader5", None)


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "accounts.terminals.simulated.package",
        "--home",
        str(home),
    ]
    return subprocess.run(  # noqa: S603 (our own program)
        [*command, str(PROGRAM), *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_it_runs_a_program_that_was_written_for_the_package(home: Path) -> None:
    done = run(home, "1001", PASSWORD, SERVER, SYMBOL)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)

    assert report["package"] == ["MetaTrader5", "5.0.6231", "MetaQuotes Ltd."]
    assert (report["account"]["login"], report["account"]["balance"]) == (1001, 10_000.0)
    assert report["is_tuple"] is True
    assert report["pickles"] is False
    market = report["market"]
    assert market["columns"] == list(RATES_DTYPE.names or ())
    assert (market["last_close"], market["ticks"]) == (1.087, 1)
    assert market["group"] == ["EURUSD.r", "EURCHF.r"]
    assert market["deals_of_group"] == 0
    assert market["no_symbol"] == [None, [-4, "Terminal: Not found"]]
    trade = report["trade"]
    assert (trade["check"], trade["sent"]) == (0, "TRADE_RETCODE_DONE")
    assert (trade["magic"], trade["request_magic"]) == (234000, 234000)
    assert (trade["left"], trade["closed"], trade["positions"]) == (0.2, True, [])
    assert trade["deals"]["volume"] == [0.3, 0.1, 0.2]
    assert trade["deals"]["entry"] == [0, 1, 1]
    assert set(trade["deals"]["symbol"]) == {SYMBOL}
    assert report["total"] == 3
    assert report["shutdown"] is True
    assert report["afterwards"] == [None, [-10004, "No IPC connection"]]


def test_a_program_sees_that_it_is_refused(home: Path) -> None:
    done = run(home, "1001", "wrong", SERVER, SYMBOL)
    assert done.returncode == 1
    assert "initialize() failed, (-6, 'Terminal: Authorization failed')" in done.stderr


@pytest.mark.usefixtures("imports")
def test_it_says_that_a_program_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--home", str(tmp_path), str(tmp_path / "bot.py")])
    assert f"there is no program {tmp_path / 'bot.py'}" in capsys.readouterr().err


def test_it_is_imported_under_the_name_of_the_package(desk: Desk) -> None:
    module = install(desk.server)
    import MetaTrader5 as mt5  # noqa: N813 (what the test is about)

    assert mt5 is module
    namespace: dict[str, Any] = {}
    exec("from MetaTrader5 import *", namespace)  # noqa: S102 (as programs do)
    assert {name: namespace[name] for name in CONSTANTS} == CONSTANTS
    assert namespace["AccountInfo"] is AccountInfo
    assert "_RawOrder" not in namespace
    assert namespace["initialize"](login=1001, password=PASSWORD, server=SERVER) is True
    assert mt5.account_info().login == 1001


def test_each_module_is_a_terminal_of_its_own(home: Path, desk: Desk) -> None:
    desk.open_account(1002)
    modules: list[ModuleType] = [connect(home), connect(str(home / ADDRESS_FILE))]
    for login, module in zip((1001, 1002), modules, strict=True):
        assert module.initialize(login=login, password=PASSWORD, server=SERVER) is True
    assert [module.account_info().login for module in modules] == [1001, 1002]
    assert modules[0].symbol_info("EURUSD") is None
    assert modules[0].last_error()[0] == -4
    assert modules[1].last_error()[0] == 1
    assert [module.shutdown() for module in modules] == [True, True]


def test_it_waits_for_no_broker_that_is_not_there(tmp_path: Path) -> None:
    module = connect(tmp_path)
    assert module.initialize(login=1001, password=PASSWORD, server=SERVER) is False
    assert module.last_error() == (-10004, "No IPC connection")

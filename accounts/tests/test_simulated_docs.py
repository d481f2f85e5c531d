"""The page about the simulated broker says what is there."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.simulated import __main__ as program
from accounts.terminals.simulated.calls import AccountTerms, BrokerCalls
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.robots.specs import RobotSpec
from accounts.terminals.simulated.robots.strategies import STRATEGIES
from accounts.terminals.simulated.service.process import BrokerService
from accounts.terminals.simulated.symbols.catalogue import CONTRACTS
from accounts.tests.simulated_desk import Desk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulated-broker.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def section(page: str, title: str) -> set[str]:
    """Return what stands between backticks in a section."""
    text = page.split(f"## {title}\n")[1].split("\n## ")[0]
    return {word.split()[0] for word in re.findall(r"`([^`\n]+)`", text)}


def examples(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page, re.S)


def test_it_runs_the_example_of_a_test(page: str) -> None:
    (example,) = [block for block in examples(page) if "TradeServer" in block]
    namespace: dict[str, object] = {}
    exec(example, namespace)  # noqa: S102 (our own page)
    assert "assert" in example


def test_it_runs_the_examples_with_a_broker_process(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk()
    desk.server.create_account(1001, "secret", "Example-Demo", "Alpha", deposit=10_000.0)
    home = tmp_path / "var" / "example"
    home.mkdir(parents=True)
    service = BrokerService(desk.server, home)
    service.start()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "MetaTrader5", None)
    try:
        namespace: dict[str, Any] = {}
        for example in examples(page):
            if "TradeServer" not in example:
                exec(example, namespace)  # noqa: S102 (our own page)
        logins = [account["login"] for account in desk.server.accounts()]
        faults = {fault["kind"] for fault in desk.server.faults()}
        namespace["broker"].close()
    finally:
        service.stop()
    desk.server.close()

    assert "TradePosition" in capsys.readouterr().out
    assert logins == [1001, 1002]
    assert faults == {"LATE", "REQUOTE", "LATENCY"}


def test_it_lists_every_call(page: str) -> None:
    calls = {name for name in vars(BrokerCalls) if not name.startswith("_") and name != "call"}
    assert calls <= section(page, "The calls beyond MetaTrader's")


def test_it_lists_what_a_robot_may_be_told(page: str) -> None:
    listed = section(page, "The calls beyond MetaTrader's")
    assert {*STRATEGIES, *RobotSpec.__dataclass_fields__} <= listed


def test_it_lists_every_symbol(page: str) -> None:
    assert section(page, "Symbols") == {contract.name for contract in CONTRACTS}


def test_it_lists_every_fault(page: str) -> None:
    assert {str(kind) for kind in FaultKind} <= section(page, "Faults")


def test_it_lists_every_option_and_term(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--help"])
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.M))
    listed = section(page, "The broker process")
    assert options <= listed
    assert set(AccountTerms.__dataclass_fields__) <= listed

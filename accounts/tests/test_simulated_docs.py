"""The page about the simulated broker says what is there."""

import re
from pathlib import Path

import pytest

from accounts.terminals.simulated import __main__ as program
from accounts.terminals.simulated.calls import AccountTerms, BrokerCalls
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.symbols.catalogue import CONTRACTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulated-broker.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def section(page: str, title: str) -> set[str]:
    """Return what stands between backticks in a section."""
    text = page.split(f"## {title}\n")[1].split("\n## ")[0]
    return {word.split()[0] for word in re.findall(r"`([^`\n]+)`", text)}


def test_it_runs_the_example_of_a_test(page: str) -> None:
    (example,) = [
        block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "TradeServer" in block
    ]
    namespace: dict[str, object] = {}
    exec(example, namespace)  # noqa: S102 (our own page)
    assert "assert" in example


def test_it_lists_every_call(page: str) -> None:
    calls = {name for name in vars(BrokerCalls) if not name.startswith("_") and name != "call"}
    assert calls <= section(page, "The calls beyond MetaTrader's")


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

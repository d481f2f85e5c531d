"""The same seed, clock and calls give the same books, byte for byte."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.link import LinkError
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.books_audit import audit, books_of
from accounts.tests.simulated_desk import PASSWORD, SERVER, Clock, Desk

REPOSITORY = Path(__file__).parents[2]
STEPS = 160
RESTART_AFTER = 80
ACCOUNTS: dict[int, dict[str, Any]] = {
    1001: {"commission_per_lot": 3.0},
    1002: {"currency": "EUR", "margin_mode": mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING},
    1003: {"margin_mode": mt5.ACCOUNT_MARGIN_MODE_EXCHANGE, "deposit": 100_000.0},
}
ROBOTS = {2001: "grid", 2002: "scalper", 2003: "reckless"}


def run(*, seed: int = 7, home: Path | None = None, restarts: bool = False,
        robots: bool = True) -> str:  # fmt: skip
    """Trade by a fixed script, while prices walk; return the fingerprint of the books."""
    clock = Clock()
    desk = _opened(clock, seed, home)
    for login, terms in ACCOUNTS.items():
        desk.open_account(login, **terms)
    for login, name in ROBOTS.items() if robots else ():
        desk.open_account(login, robot={"strategy": name})
    for step in range(STEPS):
        if restarts and step == RESTART_AFTER:
            desk.server.close()
            desk = _opened(clock, seed, home)
        clock.now += 0.5
        desk.server.step()
        _trade(desk, step)
    audit(books_of(desk.server))
    fingerprint = desk.server.fingerprint()
    desk.server.close()
    return fingerprint


def _opened(clock: Clock, seed: int, home: Path | None) -> Desk:
    return Desk(clock=clock, feed=True, seed=seed, speed=60.0, home=home, sleep=_no_wait)


def _trade(desk: Desk, step: int) -> None:
    login = sorted(ACCOUNTS)[step % 3]
    symbol = ("EURUSD", "EURJPY", "MSFT")[step % 3]
    bid, ask = desk.server.call("symbol_tick", login, symbol)[1:3]
    lots = 1.0 + step % 7 if symbol == "MSFT" else (1 + step % 7) / 100
    side = step // 3 % 2
    request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": lots, "type": side,
               "price": (ask, bid)[side], "deviation": 50, "comment": f"step {step}"}  # fmt: skip
    if step % 4 == 3:
        kind = mt5.ORDER_TYPE_BUY_LIMIT + side
        away = 0.9995 if side == mt5.ORDER_TYPE_BUY else 1.0005
        digits = 3 if symbol == "EURJPY" else 5 if symbol == "EURUSD" else 2
        request |= {"action": mt5.TRADE_ACTION_PENDING, "type": kind,
                    "price": round(bid * away, digits),
                    "type_filling": mt5.ORDER_FILLING_RETURN}  # fmt: skip
    if step % 10 == 9:
        desk.server.add_fault(login, FaultKind.LATE, times=1, delay_seconds=5.0)
    try:
        desk.send(login, **request)
    except LinkError:
        desk.server.call("authorise", login, PASSWORD, SERVER)


def _no_wait(_seconds: float) -> None:
    """Take a fault's waiting for done."""


@pytest.fixture(scope="module")
def fingerprint() -> str:
    return run()


def test_it_gives_the_same_books_again(fingerprint: str) -> None:
    assert run() == fingerprint
    assert run(seed=8) != fingerprint


def test_it_gives_the_same_books_with_a_journal(fingerprint: str, tmp_path: Path) -> None:
    assert run(home=tmp_path) == fingerprint


def test_it_gives_the_same_books_after_a_restart_in_the_middle(tmp_path: Path) -> None:
    # Robots are left out: like experts in a terminal that is started anew, they begin afresh.
    assert run(home=tmp_path, restarts=True, robots=False) == run(robots=False)


def test_it_gives_the_same_books_in_processes_that_hash_otherwise(fingerprint: str) -> None:
    program = "from accounts.tests.test_simulated_determinism import run; print(run())"
    processes = [
        subprocess.Popen(  # noqa: S603 (our own module)
            [sys.executable, "-c", program], cwd=REPOSITORY, text=True, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        for hash_seed in ("1", "2")
    ]  # fmt: skip
    answers = [process.communicate(timeout=30)[0].strip() for process in processes]
    assert answers == [fingerprint] * 2

"""Two people who give the same account, on a host where it can have one terminal only."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.terminals.codes import AUTHORIZATION_FAILED, CALL_FAILED, LOGIN_UNDER_WAY
from accounts.terminals.readings import Outcome
from accounts.tests.terminal_host import PASSWORD, SERVER, TerminalDesk, terminal_desk, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs terminals' processes")
ANSWERED = int(Outcome.ANSWERED)
BUY = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[TerminalDesk]:
    with terminal_desk(tmp_path) as made:
        yield made


def test_the_same_password_is_good_for_both(desk: TerminalDesk) -> None:
    desk.connected(1001)
    assert desk.log_in(1001) == [1]
    wait_for(lambda: desk.outcomes(1001) == [ANSWERED])


def test_another_password_ends_nobodys_watch(
    desk: TerminalDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of accounts are no secret: a stranger with a guess must not blind the guard."""
    monkeypatch.setattr("accounts.terminals.processes.source.LETTING_GO_SECONDS", 0.05)
    desk.connected(1001)
    for _ in range(2):
        (answer,) = desk.source.authorise_many([(1001, "a guess", SERVER)])
        assert desk.outcomes(1001) == [ANSWERED]
        time.sleep(0.06)
    assert answer == CALL_FAILED
    assert "with another password" in answer.sentence
    assert desk.source.call("order_send", 1001, BUY)[0] == 10009


def test_the_owners_new_password_is_tried_once_nobody_reads(
    desk: TerminalDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.connected(1001)
    monkeypatch.setattr("accounts.terminals.processes.source.HELD_SECONDS", 0.05)
    assert desk.outcomes(1001) == [ANSWERED]
    assert desk.source.authorise_many([(1001, "new", SERVER)]) == [LOGIN_UNDER_WAY]
    time.sleep(0.06)
    assert desk.source.authorise_many([(1001, "new", SERVER)]) == [AUTHORIZATION_FAILED]
    # Then nobody holds it, and the old one is good again.
    assert desk.source.authorise_many([(1001, PASSWORD, SERVER)]) == [1]

"""Who may trade is a matter of each terminal's session, not of the account."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.terminals.link import LinkError
from accounts.terminals.readings import Outcome
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.link import CODE_CALL_FAILED, BrokerLink, own_terminal
from accounts.terminals.simulated.service.client import BrokerError, RemoteBroker
from accounts.terminals.simulated.service.process import ADDRESS_FILE, BrokerService
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.tests.recording_link import RecordingLink
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

LOGIN = 1001
INVESTOR = "only look"


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.open_account(LOGIN, investor_password=INVESTOR)
    return desk


@pytest.fixture
def service(desk: Desk, tmp_path: Path) -> Iterator[BrokerService]:
    service = BrokerService(desk.server, tmp_path)
    service.start()
    yield service
    service.stop()


@pytest.fixture(params=["in this process", "over a socket"])
def link(
    request: pytest.FixtureRequest, desk: Desk, service: BrokerService, tmp_path: Path
) -> Iterator[BrokerLink]:
    del service  # it runs for the whole test
    if request.param == "in this process":
        yield desk.server
        return
    client = RemoteBroker(tmp_path / ADDRESS_FILE)
    yield client
    client.close()


def program_of(link: BrokerLink, password: str) -> SimulatedMetaTrader5:
    program = SimulatedMetaTrader5(link)
    assert program.initialize("x", login=LOGIN, password=password, server=SERVER)
    return program


def may_trade(program: SimulatedMetaTrader5) -> bool:
    """Tell whether a terminal may trade, and fail unless its answers agree about it."""
    account = program.account_info()
    sent = program.Buy("EURUSD", 0.01)
    assert account is not None
    assert sent is not None
    assert sent.retcode in (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_TRADE_DISABLED)
    assert account.trade_allowed is (sent.retcode == mt5.TRADE_RETCODE_DONE)
    return bool(account.trade_allowed)


def test_a_trader_and_an_investor_share_a_login(link: BrokerLink) -> None:
    trader, investor = program_of(link, PASSWORD), program_of(link, INVESTOR)
    assert may_trade(trader)
    assert not may_trade(investor)
    assert investor.positions_total() == 1
    assert may_trade(trader)


def test_an_investor_who_shows_the_traders_password_may_trade(link: BrokerLink) -> None:
    program = program_of(link, INVESTOR)
    assert not may_trade(program)
    assert program.login(LOGIN, PASSWORD, SERVER)
    assert may_trade(program)
    assert program.login(LOGIN, INVESTOR, SERVER)
    assert not may_trade(program)


def test_a_refused_login_leaves_no_rights_behind(desk: Desk) -> None:
    program_of(desk.server, INVESTOR)
    desk.server.call("authorise", LOGIN, PASSWORD, SERVER)
    assert desk.account(LOGIN)["trade_allowed"] is True
    with pytest.raises(LinkError):
        desk.server.call("authorise", LOGIN, "wrong", SERVER)
    assert_refused(desk)


def test_the_batch_tells_each_host_its_own_rights(desk: Desk, service: BrokerService,
                                                  tmp_path: Path) -> None:  # fmt: skip
    del service
    desk.open_account(1002)
    watcher, trader = (RemoteBroker(tmp_path / ADDRESS_FILE) for _ in range(2))
    others = (1002, PASSWORD, SERVER)
    assert trader.authorise_many([(LOGIN, PASSWORD, SERVER), others]) == [1, 1]
    assert watcher.authorise_many([(LOGIN, INVESTOR, SERVER), others]) == [1, 1]
    for host, expected in ((trader, [True, True]), (watcher, [False, True])):
        batch = host.read_batch([LOGIN, 1002], [0, 0])
        assert batch.accounts["trade_allowed"].tolist() == expected
        host.close()


def test_sessions_that_a_restart_forgot_have_to_log_in_again(tmp_path: Path) -> None:
    first = Desk(home=tmp_path)
    first.open_account(LOGIN, investor_password=INVESTOR)
    first.open_account(1002)
    first.server.call("authorise", LOGIN, INVESTOR, SERVER)
    first.server.close()
    second = Desk(home=tmp_path)
    assert_refused(second)
    assert second.account(1002)["trade_allowed"] is True
    second.server.call("authorise", LOGIN, PASSWORD, SERVER)
    assert second.account(LOGIN)["trade_allowed"] is True
    assert second.server.read_batch([LOGIN], [0]).accounts["trade_allowed"].tolist() == [True]
    second.server.close()


def assert_refused(desk: Desk) -> None:
    with pytest.raises(LinkError) as refused:
        desk.account(LOGIN)
    assert refused.value.code == -6
    batch = desk.server.read_batch([LOGIN, LOGIN], [0, 0])
    assert batch.accounts["outcome"].tolist() == [Outcome.REFUSED] * 2


def test_a_link_that_knows_no_terminals_is_used_as_it_is() -> None:
    link = RecordingLink()
    assert own_terminal(link) is link


def test_a_broker_that_fails_may_have_carried_it_out(
    desk: Desk, service: BrokerService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del service

    def fail(*_arguments: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(desk.server, "call_as", fail)
    client = RemoteBroker(tmp_path / ADDRESS_FILE)
    with pytest.raises(BrokerError, match="disk is full") as failed:
        client.call("version")
    assert failed.value.code == CODE_CALL_FAILED
    client.close()

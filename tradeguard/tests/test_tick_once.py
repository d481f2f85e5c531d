"""One tick by hand, for whoever wants to know without the worker."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import User
from accounts.models.connection import ConnectionState
from accounts.sessions.lease import acquire, release
from accounts.sessions.roster import ensure_hosts
from accounts.terminals.registry import register, unregister
from accounts.terminals.simulated.server import TradeServer
from accounts.tests.factories import SECRET, make_account
from risk.models import RiskRule
from risk.tests.factories import make_rule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[TradeServer]:
    server = TradeServer(seed=7, feed=False)
    register(settings.TERMINAL_HOST, server)
    yield server
    unregister(settings.TERMINAL_HOST)
    server.close()


def tick_once() -> list[str]:
    output = StringIO()
    call_command("tick_once", stdout=output)
    return output.getvalue().splitlines()


def test_it_polls_evaluates_and_lets_the_host_go(alice: User, server: TradeServer) -> None:
    account = make_account(alice, state=ConnectionState.CONNECTING, with_key=True)
    server.create_account(account.login, SECRET, account.server, "Alpha", deposit=100_000.0)
    make_rule(alice, rule_type=RiskRule.Type.POSITION_LIMIT, limit="5")
    for _ in range(2):  # the second finds the host free again
        accounts, rules, stages = tick_once()
        assert accounts == "1 accounts: 1 connected"
        assert rules == "2 rules on accounts: 2 safe"  # the margin cut-off is one
        assert "poll" in stages
        assert "evaluate" in stages


def test_it_leaves_a_host_to_the_worker_that_has_it(server: TradeServer) -> None:
    ensure_hosts()
    lease = acquire(settings.TERMINAL_HOST, "the worker", timezone.now())
    assert lease is not None
    with pytest.raises(CommandError, match="A worker watches"):
        tick_once()
    assert acquire(settings.TERMINAL_HOST, "another", timezone.now()) is None
    release(lease)
    later = timezone.now() + timedelta(seconds=1)
    assert acquire(settings.TERMINAL_HOST, "another", later) is not None


def test_it_knows_no_host_but_those_of_the_settings() -> None:
    with pytest.raises(CommandError, match="no terminal host 'elsewhere'"):
        call_command("tick_once", host="elsewhere")

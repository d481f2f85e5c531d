"""Why an account is not connected, from the broker's fault to what the dashboard says of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.dashboard.objects import connection_message, dashboard_of
from accounts.models import ConnectedAccount, ConnectionLog, User
from accounts.selectors import accounts_of, last_states
from accounts.services.accounts import update_account
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.factories import make_user
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def alice() -> User:
    return make_user()


def told(stage: Stage, account: ConnectedAccount) -> dict[str, Any]:
    accounts = list(accounts_of(account.user))
    present = dashboard_of(accounts, last_states(accounts), now=stage.now)
    return connection_message(present.accounts[str(account.pk)])


def change_password(stage: Stage, account: ConnectedAccount) -> None:
    stage.server.change_password(account.login, "another")


def name_another_server(stage: Stage, account: ConnectedAccount) -> None:
    update_account(account=account, server="Exmaple-Demo", now=stage.now)


def lose_terminal(stage: Stage, account: ConnectedAccount) -> None:
    stage.server.set_fault(account.login, FaultKind.DISCONNECT_TERMINAL)


def answer_for_another(stage: Stage, account: ConnectedAccount) -> None:
    stage.server.set_fault(account.login, FaultKind.WRONG_ACCOUNT)


@pytest.mark.parametrize(
    ("go_wrong", "reason", "sentence"),
    [
        (change_password, "wrong_password", "check account number, password and server"),
        (name_another_server, "unknown_server", "server is not known: check its name"),
        (lose_terminal, "terminal_not_found", "No running terminal was found"),
        (answer_for_another, "wrong_account", "answers for another account"),
    ],
)
def test_it_says_why_an_account_is_not_connected(
    stage: Stage,
    alice: User,
    go_wrong: Callable[[Stage, ConnectedAccount], None],
    reason: str,
    sentence: str,
) -> None:
    account, _other = stage.open(alice, "Alpha"), stage.open(alice, "Beta")
    if go_wrong is not answer_for_another:
        go_wrong(stage, account)
    stage.run(6)
    if go_wrong is answer_for_another:
        go_wrong(stage, account)
    stage.run(20)
    message = told(stage, account)
    assert (message["state"], message["reason"]) == ("error", reason)
    assert sentence in message["message"]
    entry = ConnectionLog.objects.filter(account_id=account.pk, to_state="error").first()
    assert entry is not None
    assert (entry.reason, entry.message) == (reason, message["message"])


def test_it_says_that_algorithmic_trading_is_off(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Alpha")
    stage.run(4)
    assert told(stage, account)["reason"] == ""
    stage.server.set_algo_trading(account.login, False)
    stage.run(2)
    message = told(stage, account)
    assert (message["state"], message["reason"]) == ("connected", "algo_trading_off")
    assert message["message"] == "Algorithmic trading is switched off in the terminal."
    stage.server.set_algo_trading(account.login, True)
    stage.run(2)
    assert told(stage, account)["reason"] == ""

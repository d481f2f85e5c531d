"""Whom a host watches."""

from datetime import timedelta

import pytest

from accounts.models import ConnectedAccount
from accounts.models.connection import ConnectionState
from accounts.tests.factories import NOW, make_account, make_host, make_user
from copytrade.models import CopyRelationship
from copytrade.watching.providers import watched_providers

pytestmark = pytest.mark.django_db
State = CopyRelationship.State


def relate(
    provider: ConnectedAccount, follower: ConnectedAccount, state: str = State.ACTIVE, days: int = 0
) -> CopyRelationship:
    return CopyRelationship.objects.create(
        provider=provider, follower=follower, alias="F", state=state, created_by_id=1,
        created_at=NOW, started_at=NOW - timedelta(days=days), state_changed_at=NOW,
        terms_changed_at=NOW,
    )  # fmt: skip


def test_it_names_the_connected_providers_of_the_host_with_their_earliest_start() -> None:
    alice = make_user()
    accounts = [
        make_account(alice, f"Account {number}", state=ConnectionState.CONNECTED)
        for number in range(3)
    ]
    provider, *followers = accounts
    relate(provider, followers[0], days=1)
    relate(provider, followers[1], State.CLOSE_ONLY, days=2)

    [watched] = watched_providers("local")

    assert (watched.account_id, watched.name) == (provider.pk, "Account 0")
    assert (watched.login, watched.server) == (provider.login, provider.server)
    assert (watched.currency, watched.broker_zone) == ("USD", "America/New_York+7h")
    assert watched.started_at == NOW - timedelta(days=2)


@pytest.mark.parametrize("state", [State.OFFERED, State.DECLINED, State.TERMINATED])
def test_it_names_none_without_a_living_follower(state: str) -> None:
    alice = make_user()
    provider = make_account(alice, "A", state=ConnectionState.CONNECTED)
    relate(provider, make_account(alice, "B"), state)

    assert watched_providers("local") == []


def test_it_names_none_that_is_disconnected_or_on_another_host() -> None:
    alice = make_user()
    elsewhere = make_account(
        alice, "A", state=ConnectionState.CONNECTED, terminal_host=make_host("other")
    )
    disconnected, follower = make_account(alice, "B"), make_account(alice, "C")
    relate(elsewhere, follower)
    relate(disconnected, follower)

    assert watched_providers("local") == []
    assert [each.name for each in watched_providers("other")] == ["A"]

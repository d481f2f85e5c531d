"""A deleted account: gone from everywhere but the archive, its history kept."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import (
    AccountConnection,
    ApiKeyAuditLog,
    ConnectedAccount,
    ConnectionLog,
    Deal,
    Tag,
    User,
)
from accounts.origin import SYSTEM, Origin
from accounts.selectors import accounts_of
from accounts.services.accounts import create_account, delete_account, update_account
from accounts.services.default_account import set_default
from accounts.services.keys import revoke_key
from accounts.services.watching import connect_all
from accounts.sessions.roster import RosterReader
from accounts.tests.api_clients import client_of
from accounts.tests.factories import NOW, SECRET, make_host, make_key
from accounts.tests.history_rows import make_deal

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    make_host()
    return create_account(user=alice, now=NOW, password=SECRET, tags=["swing"], **terms())


def terms(**changes: Any) -> Any:
    return {
        "name": "Alpha 1",
        "broker": "Example Brokers",
        "server": "Example-Demo",
        "login": 501,
        "currency": "USD",
        "initial_balance": Decimal(10_000),
        **changes,
    }


def archived(account: ConnectedAccount) -> ConnectedAccount:
    return ConnectedAccount.with_archived.get(pk=account.pk)


def test_it_keeps_the_row_and_its_history_and_nothing_else(account: ConnectedAccount) -> None:
    make_deal(account, ticket=7)
    delete_account(account=account, now=LATER)
    kept = archived(account)
    assert (kept.archived_at, kept.is_active, kept.is_default) == (LATER, False, False)
    assert kept.api_key_id is None
    assert kept.tags.count() == 0
    assert not AccountConnection.objects.filter(account_id=account.pk).exists()
    assert Tag.objects.filter(name="swing").exists()
    assert [deal.account for deal in Deal.objects.all()] == [kept]
    last = ConnectionLog.objects.filter(account_id=account.pk).first()
    assert last is not None
    assert last.to_state == "disconnected"


def test_it_is_found_nowhere(alice: User, account: ConnectedAccount) -> None:
    delete_account(account=account, now=LATER)
    assert not ConnectedAccount.objects.exists()
    assert not accounts_of(alice).exists()
    assert connect_all(user=alice, now=LATER) == []
    api = client_of(alice)
    assert api.get("/api/v1/accounts").json()["count"] == 0
    for action in ("", "/connection-log", "/status", "/deals"):
        assert api.get(f"/api/v1/accounts/{account.pk}{action}").status_code == 404
    for change in (update_account, set_default, delete_account):
        with pytest.raises(ConnectedAccount.DoesNotExist):
            change(account=account)


def test_its_host_lets_go_of_it(account: ConnectedAccount) -> None:
    reader = RosterReader("local", None)
    first = reader.read(LATER, 0.0, is_forced=False)
    assert first is not None
    assert [spec.account_id for spec in first[0].added] == [account.pk]
    delete_account(account=account, now=LATER)
    second = reader.read(LATER, 1.0, is_forced=False)
    assert second is not None
    assert list(second[0].removed) == [account.pk]


def test_it_destroys_the_secret_that_nobody_else_uses(
    alice: User, account: ConnectedAccount
) -> None:
    key = account.api_key
    assert key is not None
    origin = Origin(alice.pk, "alice", "192.0.2.7", "a browser")
    delete_account(account=account, now=LATER, origin=origin)
    key.refresh_from_db()
    assert (key.status, key.secret, key.revoked_at) == ("revoked", None, LATER)
    row = ApiKeyAuditLog.objects.get(key_id=key.pk, action="revoked")
    assert (row.outcome, row.actor_id, row.ip_address) == ("allowed", alice.pk, "192.0.2.7")


def test_it_leaves_a_key_that_another_account_uses(alice: User) -> None:
    key = make_key(alice)
    first = create_account(user=alice, now=NOW, api_key=key, **terms())
    create_account(user=alice, now=NOW, api_key=key, **terms(login=502))
    delete_account(account=first, now=LATER)
    key.refresh_from_db()
    assert (key.status, key.secret) == ("active", SECRET)


def test_it_deletes_an_account_whose_key_is_revoked_already(account: ConnectedAccount) -> None:
    key = account.api_key
    assert key is not None
    revoke_key(key=key, origin=SYSTEM, now=NOW)
    delete_account(account=account, now=LATER)
    assert archived(account).archived_at == LATER


def test_the_same_login_can_be_added_again(alice: User, account: ConnectedAccount) -> None:
    with pytest.raises(ValidationError):
        create_account(user=alice, now=NOW, password=SECRET, **terms())
    delete_account(account=account, now=LATER)
    again = create_account(user=alice, now=LATER, password=SECRET, **terms())
    assert again.is_default
    delete_account(account=again, now=LATER)
    assert ConnectedAccount.with_archived.count() == 2


def test_the_database_takes_no_archived_account_that_could_act(account: ConnectedAccount) -> None:
    rows = ConnectedAccount.with_archived.filter(pk=account.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(archived_at=LATER)


def test_users_still_can_be_deleted(alice: User, account: ConnectedAccount) -> None:
    delete_account(account=account, now=LATER)
    alice.delete()
    assert not ConnectedAccount.with_archived.exists()

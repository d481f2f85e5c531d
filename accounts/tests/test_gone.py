"""A row that somebody deletes between looking it up and changing it is just not there."""

from typing import Any
from uuid import UUID

import pytest
from django.db.models import QuerySet
from django.http import HttpRequest
from django.test import Client

from accounts.models import AccountConnection, ConnectedAccount, User
from accounts.selectors import accounts_of
from accounts.tests.api_clients import client_of
from accounts.tests.factories import make_account

pytestmark = pytest.mark.django_db


def _delete(pk: UUID | str) -> ConnectedAccount:
    account = ConnectedAccount.objects.get(pk=pk)
    ConnectedAccount.objects.filter(pk=pk).delete()
    return account


@pytest.mark.parametrize(
    ("method", "action"),
    [
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/connect"),
        ("POST", "/disconnect"),
        ("POST", "/set-default"),
        ("POST", "/activate"),
        ("POST", "/deactivate"),
    ],
)
def test_the_api_answers_that_it_is_not_there(
    alice: User, monkeypatch: pytest.MonkeyPatch, method: str, action: str
) -> None:
    def found_too_early(_rows: QuerySet[Any], pk: str) -> ConnectedAccount:
        return _delete(pk)

    monkeypatch.setattr("accounts.api.viewsets.own_row", found_too_early)
    path = f"accounts/{make_account(alice, with_key=True).pk}{action}"
    answer = client_of(alice).ask(method, path, {"name": "Late"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert not AccountConnection.objects.exists()


@pytest.mark.parametrize(
    ("action", "views"),
    [
        ("connect", "switches"),
        ("disconnect", "switches"),
        ("activate", "switches"),
        ("deactivate", "switches"),
        ("set-default", "switches"),
        ("delete", "accounts"),
    ],
)
def test_the_page_says_that_it_is_not_there(
    alice: User, client: Client, monkeypatch: pytest.MonkeyPatch, action: str, views: str
) -> None:
    def found_too_early(_request: HttpRequest, account_id: UUID) -> ConnectedAccount:
        return _delete(account_id)

    monkeypatch.setattr(f"accounts.views.{views}.own_account", found_too_early)
    client.force_login(alice)
    answer = client.post(f"/accounts/{make_account(alice, with_key=True).pk}/{action}")
    assert answer.status_code == 404
    assert not accounts_of(alice).exists()

"""An account that is locked stays connected, whoever asks: nobody would guard it otherwise."""

from django.test import Client

from accounts.models import AccountConnection, User
from accounts.tests.api_clients import API, client_of
from accounts.tests.factories import make_account
from risk.tests.factories import make_lock


def test_it_keeps_a_locked_account_connected(alice: User, client: Client) -> None:
    account = make_account(alice, state="connected")
    make_lock(account)
    client.force_login(alice)

    page = client.post(f"/accounts/{account.pk}/disconnect", headers={"HX-Request": "true"})
    answer = client_of(alice).post(f"{API}/accounts/{account.pk}/disconnect")

    assert "cannot be disconnected" in page.content.decode()
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "locked")
    assert AccountConnection.objects.get(account=account).is_wanted

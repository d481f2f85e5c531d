from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import PASSWORD, SECRET, make_account


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def fields(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Alpha 1",
        "broker": "Northwind",
        "server": "Northwind-Demo",
        "login": "50001234",
        "password": SECRET,
        "currency": "usd",
        "initial_balance": "100000",
        "role": "trading",
        "is_demo": "on",
        "is_active": "on",
        "broker_time_zone": "America/New_York+7h",
        "day_reset_time": "00:00",
        "day_reset_zone": "Europe/Prague",
        "tags": "gold, challenge",
        **changes,
    }


def test_it_adds_an_account(alice: User, page: Client) -> None:
    response = page.post("/accounts/new", fields())

    account = ConnectedAccount.objects.get()
    assert response.headers["Location"] == f"/accounts/{account.pk}"
    assert (account.user, account.currency, account.is_default) == (alice, "USD", True)
    assert sorted(tag.name for tag in account.tags.all()) == ["challenge", "gold"]
    assert account.api_key is not None
    assert account.api_key.secret == SECRET


@pytest.mark.parametrize(
    ("wrong", "field", "sentence"),
    [
        ({"login": "abc"}, "login", "The login is a number; write digits only."),
        ({"login": "0"}, "login", "greater than or equal to 1"),
        ({"initial_balance": "-1"}, "initial_balance", "must be more than 0"),
        ({"broker_time_zone": "Mars/Base"}, "broker_time_zone", "is not a known time zone"),
        ({"day_reset_zone": "Nowhere"}, "day_reset_zone", "is not a known time zone"),
        ({"day_reset_time": "25:00"}, "day_reset_time", "valid time"),
        ({"password": ""}, "password", "required"),
        ({"tags": "x" * 40}, "tags", "at most 32 characters"),
    ],
)
def test_it_tells_at_the_field_what_is_wrong(
    page: Client, wrong: dict[str, str], field: str, sentence: str
) -> None:
    response = page.post("/accounts/new", fields(**wrong))

    assert sentence in " ".join(response.context["form"].errors[field])
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not ConnectedAccount.objects.exists()


def test_it_tells_at_the_login_that_it_is_taken(alice: User, page: Client) -> None:
    make_account(alice, server="Northwind-Demo", login=50001234)
    response = page.post("/accounts/new", fields())
    assert response.context["form"].errors["login"] == [
        "You already watch this login on this server."
    ]


def test_it_never_shows_a_password_again(alice: User, page: Client) -> None:
    account = make_account(alice, with_key=True)
    for path in (f"/accounts/{account.pk}/edit", f"/accounts/{account.pk}", "/accounts"):
        assert SECRET not in page.get(path).content.decode()
    wrong = page.post("/accounts/new", fields(login="abc")).content.decode()
    assert SECRET not in wrong
    assert wrong.count("Type it again") == 1
    assert "Type it again" not in page.get("/accounts/new").content.decode()


def test_it_keeps_the_password_when_none_is_typed(alice: User, page: Client) -> None:
    account = make_account(alice, with_key=True)
    page.post(f"/accounts/{account.pk}/edit", fields(name="Renamed", password=""))
    account.refresh_from_db()
    assert account.name == "Renamed"
    assert account.api_key is not None
    assert account.api_key.secret == SECRET


def test_it_deletes_only_after_asking(alice: User, page: Client) -> None:
    account = make_account(alice, with_key=True)
    assert (
        "Its password is destroyed." in page.get(f"/accounts/{account.pk}/delete").content.decode()
    )
    assert ConnectedAccount.objects.exists()
    assert page.post(f"/accounts/{account.pk}/delete").headers["Location"] == "/accounts"
    assert not ConnectedAccount.objects.exists()


def test_it_connects_and_says_so_where_the_button_was(alice: User, page: Client) -> None:
    account = make_account(alice, with_key=True)
    html = page.post(f"/accounts/{account.pk}/connect", HTTP_HX_REQUEST="true").content.decode()
    account.connection.refresh_from_db()
    assert account.connection.is_wanted
    assert f'id="switch-{account.pk}"' in html
    assert "Disconnect" in html
    assert "is being connected" in html

    page.post(f"/accounts/{account.pk}/disconnect")
    account.connection.refresh_from_db()
    assert not account.connection.is_wanted


def test_it_says_why_an_account_is_not_connected(alice: User, page: Client) -> None:
    account = make_account(alice)
    html = page.post(f"/accounts/{account.pk}/connect", follow=True).content.decode()
    assert "has no password" in html


def test_it_changes_nothing_on_get(alice: User, page: Client) -> None:
    account = make_account(alice, with_key=True)
    assert page.get(f"/accounts/{account.pk}/connect").status_code == 405
    assert page.get("/logout").status_code == 405


@pytest.mark.parametrize("action", ["", "/edit", "/delete", "/connection"])
def test_it_knows_no_account_of_somebody_else(charlie: User, page: Client, action: str) -> None:
    account = make_account(charlie)
    assert page.get(f"/accounts/{account.pk}{action}").status_code == 404
    assert page.post(f"/accounts/{account.pk}/connect").status_code == 404
    assert page.post(f"/accounts/{account.pk}/delete").status_code == 404
    assert ConnectedAccount.objects.exists()


@pytest.mark.parametrize("path", ["/accounts", "/accounts/new", "/accounts/statuses", "/settings"])
def test_it_asks_strangers_to_sign_in(client: Client, path: str, db: None) -> None:
    response = client.get(path)
    assert response.headers["Location"] == f"/login?next={path}"


def test_it_registers_with_a_time_zone(client: Client, db: None) -> None:
    known = {"username": "dora", "email": "dora@example.com", "password": PASSWORD}
    wrong = client.post("/register", {**known, "time_zone": "Mars/Base"})
    assert "is not a time zone" in " ".join(wrong.context["form"].errors["time_zone"])
    assert PASSWORD not in wrong.content.decode()

    client.post("/register", {**known, "time_zone": "Europe/Prague"})

    assert User.objects.get().time_zone == "Europe/Prague"
    assert client.get("/accounts").status_code == 200


def test_it_tells_at_the_field_that_a_name_or_password_will_not_do(
    alice: User, client: Client
) -> None:
    answer = client.post(
        "/register",
        {"username": "ALICE", "email": "x@example.com", "password": "1234", "time_zone": "UTC"},
    )
    assert answer.context["form"].errors.keys() == {"username", "password"}


def test_it_signs_in_and_out(alice: User, client: Client) -> None:
    wrong = client.post("/login", {"username": "alice", "password": "no"})
    assert "The name or the password is wrong." in wrong.content.decode()
    client.post("/login", {"username": "alice", "password": PASSWORD})
    assert client.get("/accounts").status_code == 200
    client.post("/logout")
    assert client.get("/accounts").status_code == 302


def test_it_does_not_lead_to_another_site_after_signing_in(alice: User, client: Client) -> None:
    answer = client.post(
        "/login", {"username": "alice", "password": PASSWORD, "next": "//evil.example/x"}
    )
    assert answer.headers["Location"] == "/groups"


def test_it_saves_the_settings(alice: User, page: Client) -> None:
    page.post("/settings", {"first_name": "Alice", "last_name": "A", "time_zone": "Asia/Tokyo"})
    alice.refresh_from_db()
    assert (alice.first_name, alice.time_zone) == ("Alice", "Asia/Tokyo")


def test_it_changes_the_password_and_stays_signed_in(alice: User, page: Client) -> None:
    new = "another horse battery"
    wrong = {"old_password": "no", "new_password1": new, "new_password2": new}
    assert page.post("/settings/password", wrong).context["password_form"].errors["old_password"]
    page.post("/settings/password", {**wrong, "old_password": PASSWORD})
    alice.refresh_from_db()
    assert alice.check_password(new)
    assert page.get("/settings").status_code == 200


def test_it_shows_times_in_the_users_zone(alice: User, page: Client) -> None:
    alice.time_zone = "Asia/Tokyo"
    alice.save(update_fields=["time_zone"])
    account = make_account(alice)
    html = page.get(f"/accounts/{account.pk}/connection").content.decode()
    assert "20 Nov 21:00:00" in html  # the factories' noon in UTC
    assert timezone.get_current_timezone_name() == "UTC"


def test_it_lives_with_a_zone_that_is_gone(alice: User, page: Client) -> None:
    User.objects.update(time_zone="Gone/Zone")
    assert page.get("/settings").status_code == 200


def test_it_shows_friendly_words_without_accounts(page: Client) -> None:
    assert "No accounts yet." in page.get("/accounts").content.decode()


def test_it_sends_pages_that_need_no_inline_code(alice: User, page: Client) -> None:
    account = make_account(alice)
    for path in ("/accounts", f"/accounts/{account.pk}", "/accounts/new", "/settings"):
        answer = page.get(path)
        html = answer.content.decode()
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert " style=" not in html
        assert "<style" not in html
        assert "onclick" not in html
        assert "hx-on" not in html
        assert html.count("<script ") == html.count("<script src=")


def test_it_answers_an_unknown_address_in_the_same_design(page: Client) -> None:
    answer = page.get("/nowhere")
    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.content.decode()


def test_it_explains_a_form_that_is_too_old(alice: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/login", {"username": "alice", "password": PASSWORD})
    assert answer.status_code == 403
    assert "This form is too old" in answer.content.decode()

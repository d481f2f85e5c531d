"""Adding, changing and deleting accounts in the modal of a page; without script it is a page."""

import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiKey, ConnectedAccount, User
from accounts.tests.factories import SECRET, make_account, make_key
from accounts.tests.test_pages import fields

IN_MODAL: dict[str, Any] = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "modal-body"}
IN_PAGE: dict[str, Any] = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "main"}


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def below(path: str) -> dict[str, Any]:
    return {**IN_MODAL, "HTTP_HX_CURRENT_URL": f"http://testserver{path}"}


@pytest.mark.parametrize("action", ["new", "{}/edit", "{}/delete", "disconnect-all"])
def test_what_opens_in_a_modal_is_a_page_without_script(
    alice: User, page: Client, action: str
) -> None:
    path = f"/accounts/{action.format(make_account(alice, with_key=True).pk)}"
    whole, part = page.get(path), page.get(path, **below("/accounts"))
    assert "<!doctype html>" in whole.content.decode()
    assert "<h1>" in whole.content.decode()
    html = part.content.decode()
    assert "<html" not in html
    assert 'id="modal-title"' in html
    assert f'hx-post="{path}" hx-target="#modal-body"' in html


def test_the_modal_closes_when_the_account_is_added(page: Client) -> None:
    answer = page.post("/accounts/new", fields(), **below("/accounts"))
    assert ConnectedAccount.objects.get().name == "Alpha 1"
    assert json.loads(answer.headers["HX-Trigger-After-Settle"]) == {
        "modal-done": {},
        "accounts-changed": {},
    }
    assert answer.headers["HX-Reswap"] == "none"
    assert 'hx-swap-oob="beforeend:#toasts"' in answer.content.decode()
    assert "Alpha 1 is added." in answer.content.decode()


def test_a_page_with_script_leads_on(page: Client) -> None:
    answer = page.post("/accounts/new", fields(), **IN_PAGE)
    assert answer.headers["HX-Redirect"] == f"/accounts/{ConnectedAccount.objects.get().pk}"


def test_what_was_typed_survives_an_error(page: Client) -> None:
    answer = page.post("/accounts/new", fields(login="x", name="My <b>"), **below("/accounts"))
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "HX-Trigger-After-Settle" not in answer.headers
    assert 'role="alert">Some fields need another look' in html
    assert 'value="My &lt;b&gt;"' in html
    assert 'aria-invalid="true"' in html
    assert SECRET not in html


def test_a_second_click_adds_no_second_account(page: Client) -> None:
    page.post("/accounts/new", fields(), **below("/accounts"))
    again = page.post("/accounts/new", fields(), **below("/accounts"))
    assert again.context["form"].errors["login"] == ["You already watch this login on this server."]
    assert ConnectedAccount.objects.count() == 1
    assert ApiKey.objects.count() == 1


def test_deleting_on_its_own_page_leads_away_from_it(alice: User, page: Client) -> None:
    account = make_account(alice, with_key=True)
    own_page = f"/accounts/{account.pk}"
    answer = page.post(f"{own_page}/delete", **below(own_page))
    assert answer.headers["HX-Redirect"] == "/accounts"


def test_deleting_in_the_list_closes_the_modal(alice: User, page: Client) -> None:
    account = make_account(alice, with_key=True)
    answer = page.post(f"/accounts/{account.pk}/delete", **below("/accounts"))
    assert "modal-done" in answer.headers["HX-Trigger-After-Settle"]
    assert not ConnectedAccount.objects.exists()


def test_deleting_says_whether_the_key_goes_with_it(alice: User, page: Client) -> None:
    key = make_key(alice, name="Shared key")
    first, _second = (make_account(alice, name, api_key=key) for name in ("A", "B"))
    html = page.get(f"/accounts/{first.pk}/delete").content.decode()
    assert "Its key “Shared key” stays" in html
    assert "Its password is destroyed." not in html


def test_an_account_can_log_in_with_a_key_that_is_there(alice: User, page: Client) -> None:
    key = make_key(alice)
    page.post("/accounts/new", fields(password="", api_key=str(key.pk)))
    assert ConnectedAccount.objects.get().api_key == key
    assert ApiKey.objects.count() == 1


def test_a_key_and_a_password_together_are_refused(alice: User, page: Client) -> None:
    key = make_key(alice)
    answer = page.post("/accounts/new", fields(api_key=str(key.pk)))
    assert "not both" in " ".join(answer.context["form"].errors["password"])
    assert not ConnectedAccount.objects.exists()


@pytest.mark.parametrize("status", ["active", "inactive"])
def test_only_own_active_keys_can_be_chosen(
    alice: User, charlie: User, page: Client, status: str
) -> None:
    make_key(alice)  # so that there is a choice at all
    key = make_key(charlie) if status == "active" else make_key(alice, name="Off")
    ApiKey.objects.filter(pk=key.pk).update(status=status)
    answer = page.post("/accounts/new", fields(password="", api_key=str(key.pk)))
    assert "api_key" in answer.context["form"].errors
    assert not ConnectedAccount.objects.exists()


def test_an_account_changes_to_another_key(alice: User, page: Client) -> None:
    account, other = make_account(alice, with_key=True), make_key(alice, name="Other")
    page.post(f"/accounts/{account.pk}/edit", fields(password="", api_key=str(other.pk)))
    account.refresh_from_db()
    assert account.api_key == other


def test_saving_keeps_a_key_that_is_not_usable_any_more(alice: User, page: Client) -> None:
    account = make_account(alice, with_key=True)
    key_id = account.api_key_id
    ApiKey.objects.update(status="inactive")
    page.post(f"/accounts/{account.pk}/edit", fields(name="New", password="", api_key=str(key_id)))
    account.refresh_from_db()
    assert (account.name, account.api_key_id) == ("New", key_id)

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import make_account
from groups.models import AccountGroup
from groups.tests.factories import make_group


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def test_it_creates_a_group_with_members(alice: User, page: Client) -> None:
    account = make_account(alice)
    answer = page.post("/groups/new", {"name": "Desk", "accounts": [str(account.pk)]})
    group = AccountGroup.objects.get()
    assert answer.headers["Location"] == f"/groups/{group.pk}"
    assert (group.user, list(group.accounts.all())) == (alice, [account])


def test_it_tells_at_the_name_that_it_is_taken(alice: User, page: Client) -> None:
    make_group(alice, "Desk")
    answer = page.post("/groups/new", {"name": "Desk"})
    assert answer.context["form"].errors["name"] == ["You already have a group of this name."]


def test_it_takes_no_account_of_somebody_else(charlie: User, page: Client) -> None:
    stranger = make_account(charlie)
    answer = page.post("/groups/new", {"name": "Desk", "accounts": [str(stranger.pk)]})
    assert answer.context["form"].errors["accounts"]
    assert not AccountGroup.objects.exists()


def test_it_changes_members_on_the_group_page(alice: User, page: Client) -> None:
    first, second = make_account(alice, "A"), make_account(alice, "B")
    group = make_group(alice, "Desk", first)
    html = page.get(f"/groups/{group.pk}").content.decode()
    assert f'hx-get="/groups/{group.pk}/risk-panel"' in html
    page.post(f"/groups/{group.pk}/members", {"accounts": [str(second.pk)]})
    assert list(group.accounts.all()) == [second]


def test_it_leads_from_an_empty_group_to_the_first_account(alice: User, page: Client) -> None:
    group = make_group(alice, "Desk")
    assert "Add the first account" in page.get(f"/groups/{group.pk}").content.decode()
    make_account(alice)
    html = page.get(f"/groups/{group.pk}").content.decode()
    assert "Save members" in html
    assert '<details class="card fold" id="members" open>' in html


def test_it_edits_and_deletes(alice: User, page: Client) -> None:
    group = make_group(alice, "Desk", make_account(alice))
    assert page.get(f"/groups/{group.pk}/edit").context["form"].initial["name"] == "Desk"
    page.post(f"/groups/{group.pk}/edit", {"name": "Renamed"})
    group.refresh_from_db()
    assert group.name == "Renamed"
    assert "Its accounts stay" in page.get(f"/groups/{group.pk}/delete").content.decode()
    page.post(f"/groups/{group.pk}/delete")
    assert not AccountGroup.objects.exists()


@pytest.mark.parametrize("action", ["", "/edit", "/delete"])
def test_it_knows_no_group_of_somebody_else(charlie: User, page: Client, action: str) -> None:
    group = make_group(charlie)
    assert page.get(f"/groups/{group.pk}{action}").status_code == 404
    assert page.post(f"/groups/{group.pk}/delete").status_code == 404
    assert page.post(f"/groups/{group.pk}/members").status_code == 404
    assert AccountGroup.objects.exists()


@pytest.mark.parametrize("path", ["/groups", "/groups/new"])
def test_it_asks_strangers_to_sign_in(client: Client, path: str, db: None) -> None:
    assert client.get(path).headers["Location"] == f"/login?next={path}"


def test_it_shows_friendly_words_without_groups(page: Client) -> None:
    assert "No groups yet." in page.get("/groups").content.decode()

"""The page of the risk of accounts taken together."""

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import make_account
from groups.tests.factories import make_group
from risk.presentation.portfolio import MOST_COMPARED


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def test_it_says_why_a_figure_is_not_known(alice: User, page: Client) -> None:
    make_account(alice, "Alpha 1")
    html = page.get("/portfolio/figures").content.decode()
    assert "There is no fresh reading of Alpha 1." in html
    assert "full days are known, and it takes" in html
    assert "1 account does not answer now" in html


def test_it_converts_nothing(alice: User, page: Client) -> None:
    make_account(alice, "Alpha 1", currency="USD")
    make_account(alice, "Alpha 2", currency="EUR")
    html = page.get("/portfolio/figures").content.decode()
    assert "nothing is converted" in html
    assert "Accounts in EUR" in html
    assert "Accounts in USD" in html


def test_it_shows_a_group_or_what_was_chosen_only(alice: User, charlie: User, page: Client) -> None:
    one, other = (make_account(alice, name) for name in ("Alpha 1", "Beta 2"))
    theirs = make_account(charlie, "Gamma 3")
    group = make_group(alice, "Desk", one)

    of_group = page.get(f"/portfolio/figures?group={group.pk}").content.decode()
    chosen = page.get(f"/portfolio/figures?id={other.pk}&id={theirs.pk}&id=x").content.decode()

    assert "Alpha 1" in of_group
    assert "Beta 2" not in of_group
    assert "Beta 2" in chosen
    assert "Gamma 3" not in chosen


def test_it_compares_no_more_accounts_than_a_table_can_show(alice: User, page: Client) -> None:
    for number in range(MOST_COMPARED):
        make_account(alice, f"Alpha {number}")
    too_many = f"That is {MOST_COMPARED + 1} of them."
    assert too_many not in page.get("/portfolio/figures").content.decode()
    make_account(alice, "Beta")
    assert too_many in page.get("/portfolio/figures").content.decode()


def test_without_accounts_it_says_so(page: Client) -> None:
    assert "There is no account." in page.get("/portfolio/figures").content.decode()


@pytest.mark.parametrize("query", ["?group=x", "?account=x"])
def test_what_is_not_there_is_not_there(page: Client, query: str) -> None:
    for address in ("/portfolio", "/portfolio/figures"):
        assert page.get(f"{address}{query}").status_code == 404

"""The list of accounts: what was asked for in the address, with or without script."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import ConnectedAccount, User
from accounts.services.tags import tags_named
from accounts.tests.factories import make_account

Role = ConnectedAccount.Role


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def desk(alice: User) -> list[ConnectedAccount]:
    """Return four accounts that differ in everything that can be asked for."""
    gold = make_account(alice, "Gold", login=300, broker="Zeta", state="error")
    follower = make_account(alice, "Beta", login=100, role=Role.COPY_FOLLOWER, is_demo=False)
    make_account(alice, "alpha", login=200, server="Hidden-Live", state="connecting")
    make_account(alice, "Idle", login=400, is_active=False)
    gold.tags.set(tags_named(user=alice, names=["challenge"]))
    follower.tags.set(tags_named(user=alice, names=["challenge", "copied"]))
    return [gold, follower]


def names(page: Client, query: str = "") -> list[str]:
    html = page.get(f"/accounts{query}").content.decode()
    return re.findall(r'<span class="name-line"><a [^>]*>([^<]*)</a>', html)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["alpha", "Beta", "Gold", "Idle"]),
        ("?q=hidden", ["alpha"]),
        ("?q=30", ["Gold"]),
        ("?q=zeta+gold", ["Gold"]),
        ("?tag=challenge", ["Beta", "Gold"]),
        ("?tag=copied&kind=live", ["Beta"]),
        ("?state=error", ["Gold"]),
        ("?role=copy_follower", ["Beta"]),
        ("?kind=demo&active=yes", ["alpha", "Gold"]),
        ("?active=no", ["Idle"]),
        ("?sort=-name", ["Idle", "Gold", "Beta", "alpha"]),
        ("?sort=login", ["Beta", "alpha", "Gold", "Idle"]),
        ("?sort=state", ["Gold", "Beta", "Idle", "alpha"]),
        ("?sort=secret&state=nonsense&page=x", ["alpha", "Beta", "Gold", "Idle"]),
        ("?page=99", ["alpha", "Beta", "Gold", "Idle"]),
    ],
)
def test_it_finds_what_was_asked_for(
    page: Client, desk: list[ConnectedAccount], query: str, expected: list[str]
) -> None:
    assert names(page, query) == expected


def test_it_says_that_nothing_was_found(page: Client, desk: list[ConnectedAccount]) -> None:
    html = page.get("/accounts?q=nothing").content.decode()
    assert "No account is like that." in html
    assert "0 of 4 accounts" in html
    assert 'value="nothing"' in html


def test_every_link_keeps_what_was_asked(page: Client, desk: list[ConnectedAccount]) -> None:
    html = page.get("/accounts?tag=challenge&sort=login").content.decode()
    links = re.findall(r'class="sort" id="sort-(\w+)" href="([^"]*)"', html)
    assert dict(links)["login"] == "/accounts?tag=challenge&amp;sort=-login&amp;page=1"
    assert 'aria-sort="ascending"' in html
    assert 'value="challenge" selected' in html


def test_it_shows_a_long_list_page_by_page(alice: User, page: Client) -> None:
    for number in range(51):
        make_account(alice, f"A{number:02}")
    assert len(names(page)) == 50
    assert names(page, "?page=2") == ["A50"]
    html = page.get("/accounts?page=2&q=a").content.decode()
    assert 'rel="prev" href="/accounts?page=1&amp;q=a"' in html
    # The page asks for the statuses of its own rows alone.
    assert len(page.get("/accounts/statuses?page=2").json()) == 1


def test_it_asks_the_database_the_same_for_2_and_for_60_accounts(alice: User, page: Client) -> None:
    def count(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert page.get(path).status_code == 200
        return len(queries)

    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            account = make_account(alice, f"A{number:02}", state="connected")
            account.tags.set(tags_named(user=alice, names=[f"t{number % 3}", "all"]))

    paths = ["/accounts", "/accounts?sort=-equity&tag=all", "/accounts/statuses"]
    grow(0, 2)
    page.get("/accounts")  # the first request of a session notes where it comes from
    few = {path: count(path) for path in paths}
    grow(2, 60)
    assert {path: count(path) for path in paths} == few


def test_it_shows_nobody_elses_account(charlie: User, page: Client) -> None:
    make_account(charlie, "Foreign")
    assert "Foreign" not in page.get("/accounts?q=foreign").content.decode()

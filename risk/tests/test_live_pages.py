from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.screen.parts import short
from accounts.tests.factories import NOW, make_account
from groups.tests.factories import make_group
from risk.tests.factories import make_breach, make_rule
from risk.tests.live_state import leave_readings


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture(autouse=True)
def _at_now() -> object:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def test_it_names_the_weakest_account_of_a_group_with_its_numbers(
    alice: User, page: Client
) -> None:
    account = make_account(alice, "Alpha 3", state="connected")
    group = make_group(alice, "Desk", account)
    leave_readings([account], [make_rule(alice)], read_at=NOW.timestamp())

    html = page.get(f"/groups/{group.pk}/risk-panel").content.decode()

    assert "Alpha 3: 212.40 USD of 5,000.00 left today (4\N{NO-BREAK SPACE}%)" in html
    assert f'ws-connect="/ws/group/{group.pk}?format=html"' in html
    assert "● CRITICAL Desk – TradeGuard" in html
    assert 'value="95.8"' in html


def test_it_shows_no_number_of_a_stale_reading_as_live(alice: User, page: Client) -> None:
    account = make_account(alice, "Alpha 3", state="connected")
    group = make_group(alice, "Desk", account)
    read_at = (NOW - timedelta(seconds=2.1)).timestamp()
    leave_readings([account], [make_rule(alice)], read_at=read_at)

    html = page.get(f"/groups/{group.pk}/risk-panel").content.decode()

    assert "4 % left" not in html
    assert '<span id="w-equity" class="">—</span>' in html
    assert ">212.40" not in html
    assert "last known 2 s ago" in html
    assert "All figures are stale" in html
    assert "No answer" in html


def test_it_lists_how_safe_each_account_is(alice: User, charlie: User, page: Client) -> None:
    near, silent, unruled = (
        make_account(alice, name, state="connected") for name in ("Near", "Silent", "Unruled")
    )
    make_account(charlie, "Foreign", state="connected")
    rule = make_rule(alice, accounts=[near, silent])
    leave_readings([near, unruled], [rule], read_at=NOW.timestamp())

    patches = page.get("/accounts/statuses").json()

    assert sorted(patches) == sorted(
        [
            [f"a{short(near.pk)}-status", "Critical", "critical"],
            [f"a{short(silent.pk)}-status", "Unknown", "unknown"],
            [f"a{short(unruled.pk)}-status", "Not watched", "none"],
        ]
    )


def test_it_shows_an_account_with_its_positions(alice: User, page: Client) -> None:
    account = make_account(alice, "Alpha 3", state="connected")
    leave_readings([account], [make_rule(alice)], read_at=NOW.timestamp())

    html = page.get(f"/accounts/{account.pk}/risk-panel").content.decode()

    assert "95,212.40" in html
    assert "EURUSD" in html
    assert "1.08700" in html
    assert "−4,787.60" in html
    assert "87,535 %" in html


@pytest.mark.parametrize(
    ("margin_mode", "words"), [(0, "netting: one position a symbol"), (2, "hedging")]
)
def test_it_says_how_an_account_adds_up_its_positions(
    alice: User, page: Client, margin_mode: int, words: str
) -> None:
    account = make_account(alice, "Alpha 3", state="connected")
    leave_readings([account], [make_rule(alice)], read_at=NOW.timestamp(), margin_mode=margin_mode)

    html = page.get(f"/accounts/{account.pk}/risk-panel").content.decode()

    assert words in html


def test_it_writes_a_name_as_text_never_as_markup(alice: User, page: Client) -> None:
    account = make_account(alice, "<script>alert(1)</script>", state="connected")
    group = make_group(alice, "<b>Desk</b>", account)
    leave_readings([account], [make_rule(alice, "<i>x</i>")], read_at=NOW.timestamp())

    for path in (
        f"/groups/{group.pk}",
        f"/groups/{group.pk}/risk-panel",
        "/groups/cards",
        f"/accounts/{account.pk}/risk-panel",
        f"/accounts/{account.pk}",
        "/accounts",
        "/rules",
    ):
        html = page.get(path).content.decode()
        assert "<script>alert" not in html, path
        assert "<b>Desk" not in html, path
        assert "<i>x" not in html, path


def test_it_answers_a_strangers_look_with_404(charlie: User, page: Client) -> None:
    account = make_account(charlie)
    group, rule = make_group(charlie, "Desk", account), make_rule(charlie)

    for path in (
        f"/groups/{group.pk}/risk-panel",
        f"/accounts/{account.pk}/risk-panel",
        f"/accounts/{account.pk}/consequences",
        f"/rules/{rule.pk}/edit",
        f"/rules/{rule.pk}/delete",
        f"/rules/{rule.pk}/accounts/{account.pk}/acknowledge",
    ):
        assert page.get(path).status_code == 404, path


@pytest.mark.parametrize("path", ["/groups/cards", "/rules", "/rules/new", "/rules/fields"])
def test_it_asks_strangers_to_sign_in(client: Client, path: str, db: None) -> None:
    assert client.get(path).headers["Location"].startswith("/login")


def test_it_asks_the_database_the_same_for_2_and_for_20_rows(alice: User, page: Client) -> None:
    def count(path: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert page.get(path).status_code == 200
        return len(queries)

    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            account = make_account(alice, f"A {number}", state="connected")
            group = make_group(alice, f"G {number}", account)
            make_rule(alice, f"R {number}", groups=[group], accounts=[account])

    paths = ["/groups", "/groups/cards", "/accounts", "/accounts/statuses", "/rules", "/rules/new"]
    grow(0, 2)
    page.get("/groups")  # the first request of a session notes where it comes from
    few = {path: count(path) for path in paths}
    grow(2, 20)
    assert {path: count(path) for path in paths} == few


def test_it_tells_what_goes_with_an_account(alice: User, page: Client) -> None:
    account = make_account(alice)
    make_group(alice, "Desk", account)
    make_rule(alice, "Own rule", accounts=[account])

    html = page.get(f"/accounts/{account.pk}/consequences").content.decode()

    assert "It leaves 1 group: Desk." in html
    assert "1 rule names it: Own rule." in html


def test_it_says_why_a_member_may_not_leave(alice: User, page: Client) -> None:
    account = make_account(alice, "Alpha 1")
    group = make_group(alice, "Desk", account)
    make_breach(make_rule(alice, groups=[group]), account)
    html = page.post(f"/groups/{group.pk}/members", follow=True).content.decode()
    assert "Alpha 1 cannot leave the group" in html
    assert list(group.accounts.all()) == [account]

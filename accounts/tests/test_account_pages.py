"""One account's page and its parts; the switches for one account and for all."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AccountConnection, ConnectedAccount, ConnectionLog, User
from accounts.screen.account_health import share
from accounts.tests.factories import NOW, make_account

HTMX: dict[str, Any] = {"HTTP_HX_REQUEST": "true"}
PARTS = ["", "/connection", "/connection-log", "/health", "/equity", "/deals", "/deals/latest"]


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def add_changes(account: ConnectedAccount, count: int) -> None:
    ConnectionLog.objects.bulk_create(
        ConnectionLog(
            account_id=account.pk,
            user_id=account.user_id,
            account_name=account.name,
            from_state="connected",
            to_state="error",
            message=f"Reason {number}.",
            created_at=NOW + timedelta(minutes=number),
        )
        for number in range(count)
    )


def is_active(account: ConnectedAccount) -> bool:
    return ConnectedAccount.objects.get(pk=account.pk).is_active


def is_wanted(account: ConnectedAccount) -> bool:
    return AccountConnection.objects.get(account=account).is_wanted


@pytest.mark.parametrize("part", PARTS)
def test_it_knows_nothing_of_a_strangers_account(charlie: User, page: Client, part: str) -> None:
    assert page.get(f"/accounts/{make_account(charlie).pk}{part}").status_code == 404


@pytest.mark.parametrize("action", ["activate", "deactivate", "set-default"])
def test_it_changes_no_strangers_account(charlie: User, page: Client, action: str) -> None:
    account = make_account(charlie)
    assert page.post(f"/accounts/{account.pk}/{action}").status_code == 404
    assert page.get(f"/accounts/{account.pk}/{action}").status_code == 405


@pytest.mark.parametrize("part", PARTS)
def test_it_asks_strangers_to_sign_in(alice: User, client: Client, part: str) -> None:
    path = f"/accounts/{make_account(alice).pk}{part}"
    assert client.get(path).headers["Location"] == f"/login?next={path}"


def test_it_shows_the_whole_connection_history_page_by_page(alice: User, page: Client) -> None:
    account = make_account(alice)
    add_changes(account, 51)
    first = page.get(f"/accounts/{account.pk}/connection-log").content.decode()
    last = page.get(f"/accounts/{account.pk}/connection-log?page=2").content.decode()
    assert "Reason 50." in first
    assert "Reason 1." in first
    assert "Reason 0." not in first
    assert "Reason 0." in last
    assert "51 changes" in last


def test_it_shows_the_latest_changes_and_the_way_to_the_rest(alice: User, page: Client) -> None:
    account = make_account(alice)
    add_changes(account, 20)
    html = page.get(f"/accounts/{account.pk}/connection").content.decode()
    assert html.count("<li>") == 8
    assert f"/accounts/{account.pk}/connection-log" in html


def test_it_says_in_the_history_that_nothing_happened_yet(alice: User, page: Client) -> None:
    html = page.get(f"/accounts/{make_account(alice).pk}/connection-log").content.decode()
    assert "No changes so far." in html


def test_it_deactivates_and_activates(alice: User, page: Client) -> None:
    account = make_account(alice, with_key=True)
    page.post(f"/accounts/{account.pk}/deactivate")
    assert is_active(account) is False
    answer = page.post(f"/accounts/{account.pk}/activate", **HTMX)
    assert is_active(account) is True
    assert "accounts-changed" in answer.headers["HX-Trigger"]
    assert "is active and is being connected" in answer.content.decode()


def test_it_makes_another_account_the_default(alice: User, page: Client) -> None:
    first = make_account(alice, "A", is_default=True)
    second = make_account(alice, "B")
    answer = page.post(f"/accounts/{second.pk}/set-default")
    assert answer.headers["Location"] == f"/accounts/{second.pk}"
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.is_default, second.is_default) == (False, True)


def test_it_connects_all_with_a_result_for_each(alice: User, charlie: User, page: Client) -> None:
    good, bad = make_account(alice, "Good", with_key=True), make_account(alice, "Bad")
    foreign = make_account(charlie, "Foreign", with_key=True)
    html = page.post("/accounts/connect-all").content.decode()
    for account in (good, bad, foreign):
        account.connection.refresh_from_db()
    wanted = [each.connection.is_wanted for each in (good, bad, foreign)]
    assert wanted == [True, False, False]
    assert "1 of 2 active accounts" in html
    assert "The account has no password" in html
    assert html.index(">Bad<") < html.index(">Good<")
    assert "Foreign" not in html


def test_it_disconnects_all_only_after_asking(alice: User, page: Client) -> None:
    account = make_account(alice, with_key=True, state="connected")
    assert "nobody watches the rules" in page.get("/accounts/disconnect-all").content.decode()
    assert is_wanted(account) is True
    html = page.post("/accounts/disconnect-all").content.decode()
    assert is_wanted(account) is False
    assert "1 of 1 active account is being disconnected" in html
    assert page.get("/accounts/connect-all").status_code == 405


def test_it_greets_own_accounts_alone(alice: User, charlie: User, page: Client) -> None:
    own, foreign = make_account(alice, "Own"), make_account(charlie, "Foreign")
    html = page.get(f"/accounts/greeting?id={own.pk}&id={foreign.pk}&id=x").content.decode()
    assert "Own is connected." in html
    assert "Foreign" not in html


def test_it_draws_without_inline_style(alice: User, page: Client) -> None:
    account = make_account(alice)
    for part in PARTS:
        html = page.get(f"/accounts/{account.pk}{part}").content.decode()
        assert " style=" not in html
        assert "onclick" not in html


def test_it_takes_any_period_for_one_that_is_known(alice: User, page: Client) -> None:
    account = make_account(alice)
    html = page.get(f"/accounts/{account.pk}/equity?period=month").content.decode()
    assert "every hour" in html
    assert "every minute" in page.get(f"/accounts/{account.pk}/equity?period=x").content.decode()


def test_it_tells_how_well_the_connection_holds(alice: User, page: Client) -> None:
    account = make_account(alice, state="error")
    now = timezone.now()
    ConnectedAccount.objects.update(created_at=now - timedelta(days=2))
    add_changes(account, 1)
    ConnectionLog.objects.update(created_at=now - timedelta(hours=12), message="Wrong password.")
    html = page.get(f"/accounts/{account.pk}/health").content.decode()
    shares = re.findall(r'<th scope="row">([^<]*)</th><td class="digits[^"]*">([^<]*)<', html)
    assert [window for window, _ in shares] == ["5 minutes", "hour", "day", "week"]
    assert [share for _, share in shares][:3] == ["0.0 %", "0.0 %", "50.0 %"]
    assert "Wrong password." in html
    assert "none yet" in html


def test_it_says_100_percent_of_all_of_the_time_alone() -> None:
    assert share(1.0) == "100 %"
    assert share(0.99999) == "99.9 %"
    assert share(0.0) == "0.0 %"

"""Closing everything, what runs, and locks, as pages."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import NOW, make_account
from groups.tests.factories import make_group
from risk.models import AccountLock, Enforcement
from risk.tests.factories import make_lock, make_order, make_run
from risk.tests.live_state import leave_readings

MODAL = {"HX-Request": "true", "HX-Target": "modal-body"}
Stage = Enforcement.Stage


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice, "Alpha 1", state="connected")


def test_closing_says_first_what_it_means(page: Client, account: ConnectedAccount) -> None:
    with time_machine.travel(NOW, tick=False):
        leave_readings([account], [], read_at=NOW.timestamp())
        html = page.get(f"/accounts/{account.pk}/close-all", headers=MODAL).content.decode()

    assert "1 position will be closed." in html
    assert "Close all now" in html
    assert not Enforcement.objects.exists()


def test_it_says_when_it_does_not_know_what_is_open(
    page: Client, account: ConnectedAccount
) -> None:
    leave_readings([account], [], read_at=timezone.now().timestamp() - 60)
    html = page.get("/close-all", headers=MODAL).content.decode()
    assert "The account does not answer now: whatever is open will be closed" in html


def test_the_second_click_closes_and_locks(page: Client, account: ConnectedAccount) -> None:
    answer = page.post(
        f"/accounts/{account.pk}/close-all", {"lock": "on", "reason": ""}, headers=MODAL
    )

    run = Enforcement.objects.get()
    assert (run.account_id, run.cause, run.action) == (account.pk, "panic", "CLOSE_ALL")
    assert AccountLock.objects.standing().get().account_id == account.pk
    html = answer.content.decode()
    assert "Close all: Alpha 1" in html
    assert 'hx-trigger="every 1s"' in html


def test_it_closes_without_a_lock_when_asked_to(page: Client, account: ConnectedAccount) -> None:
    page.post(f"/accounts/{account.pk}/close-all", {"reason": "News."})
    assert Enforcement.objects.get().reason == "News."
    assert not AccountLock.objects.exists()


def test_pressing_twice_is_pressing_once(page: Client, account: ConnectedAccount) -> None:
    for _ in range(2):
        page.post("/close-all", {"lock": "on"})
    assert Enforcement.objects.count() == 1
    assert AccountLock.objects.count() == 1


def test_everything_is_every_account_that_somebody_has_connected(
    alice: User, charlie: User, page: Client, account: ConnectedAccount
) -> None:
    make_account(alice, "Idle")
    make_account(alice, "Old", state="connected", is_active=False)
    make_account(charlie, "Theirs", state="connected")
    other = make_account(alice, "Alpha 2", state="error")

    html = page.get("/close-all").content.decode()
    page.post("/close-all", {"lock": "on"})

    assert "not connected: TradeGuard can close nothing there" in html
    closed = set(Enforcement.objects.values_list("account_id", flat=True))
    assert closed == {account.pk, other.pk}


def test_a_group_closes_its_members_only(
    alice: User, page: Client, account: ConnectedAccount
) -> None:
    make_account(alice, "Outside", state="connected")
    group = make_group(alice, "Desk", account)
    page.post(f"/groups/{group.pk}/close-all", {"lock": "on"})
    assert Enforcement.objects.get().account_id == account.pk


def test_a_run_that_works_is_asked_for_each_second(page: Client, account: ConnectedAccount) -> None:
    make_run(account, stage=Stage.CLOSING, finished_at=None, positions_closed=3)
    html = page.get("/standing").content.decode()
    assert 'hx-trigger="every 1s' in html
    assert "Closing positions, 3 positions closed, 0 orders deleted so far" in html


def test_a_run_that_ended_says_when_and_how_much(page: Client, account: ConnectedAccount) -> None:
    now = timezone.now()
    make_run(account, positions_closed=12, orders_cancelled=3, confirmed_at=now, finished_at=now)
    html = page.get("/standing").content.decode()
    assert re.search(
        r"Confirmed flat at \d\d:\d\d:\d\d, 12 positions closed, 3 orders deleted", html
    )
    assert 'hx-trigger="every 10s' in html


def test_a_closed_market_is_said_plainly(page: Client, account: ConnectedAccount) -> None:
    now = timezone.now()
    make_run(
        account,
        stage=Stage.WAITING,
        finished_at=None,
        message="The market of EURUSD is closed.",
        next_attempt_at=now + timedelta(seconds=30),
    )
    html = page.get("/standing").content.decode()
    assert "Waiting: the market of EURUSD is closed." in html
    assert "Next attempt at" in html


def test_one_press_on_many_accounts_is_one_line(alice: User, page: Client) -> None:
    now = timezone.now()
    for number in range(3):
        account = make_account(alice, f"Alpha {number}")
        is_done = number == 0
        make_run(
            account,
            created_at=now,
            stage=Stage.DONE if is_done else Stage.CLOSING,
            confirmed_at=now if is_done else None,
            finished_at=now if is_done else None,
            positions_closed=2,
        )
    html = page.get("/standing").content.decode()
    assert "Close all: 3 accounts" in html
    assert "1 of 3 accounts confirmed flat, 6 positions closed" in html


def test_what_locks_closed_counts_accounts_and_not_times(alice: User, page: Client) -> None:
    now = timezone.now()
    for number in range(2):
        account = make_account(alice, f"Alpha {number}")
        for seconds in range(3):
            at = now - timedelta(seconds=seconds)
            is_done = number == 0 or seconds > 0
            make_run(
                account,
                cause=Enforcement.Cause.LOCK,
                created_at=at,
                stage=Stage.DONE if is_done else Stage.CLOSING,
                confirmed_at=at if is_done else None,
                finished_at=at if is_done else None,
                positions_closed=1,
            )
    html = page.get("/standing").content.decode()
    assert "2 accounts: " in html
    assert "1 of 2 accounts confirmed flat, 6 positions closed" in html


def test_what_is_long_over_is_not_shown(page: Client, account: ConnectedAccount) -> None:
    make_run(account, finished_at=timezone.now() - timedelta(minutes=16))
    assert "Close all" not in page.get("/standing").content.decode()


def test_a_lock_stands_on_its_page_until_somebody_unlocks_it(
    page: Client, account: ConnectedAccount
) -> None:
    make_lock(account)
    address = f"/accounts/{account.pk}/unlock"
    assert "Unlock…" in page.get(f"/standing?account={account.pk}").content.decode()
    assert "What it does not" in page.get(address, headers=MODAL).content.decode()

    refused = page.post(address, {"reason": " "}, headers=MODAL).content.decode()
    assert "This field is required." in refused
    assert AccountLock.objects.standing().exists()

    page.post(address, {"reason": "Looked at it."}, headers=MODAL)
    assert not AccountLock.objects.standing().exists()
    assert "Unlock…" not in page.get(f"/standing?account={account.pk}").content.decode()


def test_another_accounts_lock_is_not_on_the_page_of_this_one(
    alice: User, page: Client, account: ConnectedAccount
) -> None:
    make_lock(make_account(alice, "Other"))
    assert "Other" not in page.get(f"/standing?account={account.pk}").content.decode()
    assert "Other" in page.get("/standing").content.decode()


@pytest.mark.parametrize("query", ["?account=x", "?group=x", f"?account={uuid4()}"])
def test_what_stands_on_what_is_not_there_is_not_there(page: Client, query: str) -> None:
    assert page.get(f"/standing{query}").status_code == 404


@pytest.mark.parametrize("count", [2, 20])
def test_what_stands_takes_the_same_queries_for_any_number(
    alice: User, page: Client, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        account = make_account(alice, f"Alpha {number}")
        make_lock(account)
        make_run(account, finished_at=None, stage=Stage.CLOSING)
    page.get("/standing")  # the first page of a session is noted
    with django_assert_num_queries(7):
        page.get("/standing")


def test_the_history_shows_each_time_with_its_orders(
    page: Client, account: ConnectedAccount
) -> None:
    run = make_run(account, confirmed_at=timezone.now())
    make_order(account, kind="close", position_ticket=50, enforcement_id=run.pk)
    html = page.get(f"/accounts/{account.pk}/enforcements").content.decode()
    assert "Going home." in html
    assert "1 order<" in html
    assert "position 50" in html


def test_a_page_without_scripts_leads_to_unlocking(page: Client, account: ConnectedAccount) -> None:
    html = page.get(f"/accounts/{account.pk}").content.decode()
    without = "".join(re.findall(r"<noscript>(.*?)</noscript>", html, re.DOTALL))
    assert f'href="/accounts/{account.pk}/unlock"' in without
    assert f'href="/accounts/{account.pk}/arming"' in without


def test_the_groups_without_scripts_lead_to_what_works(
    alice: User, page: Client, account: ConnectedAccount
) -> None:
    make_group(alice, "Desk", account)
    html = page.get("/groups").content.decode()
    without = "".join(re.findall(r"<noscript>(.*?)</noscript>", html, re.DOTALL))
    assert 'href="/accounts"' in without

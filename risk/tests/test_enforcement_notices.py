"""What is told of a run: once, also when its worker dies, and whatever else waits."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import NOW, make_account
from notifications.models import Notification
from notifications.services import notify
from risk.breach_messages import breach_messages
from risk.enforcement import notices as told_of
from risk.enforcement.notices import (
    ENDED_LATELY,
    LONGEST_WAIT,
    SAID_BY_BREACH,
    Notices,
    finished,
    recent_run_messages,
    started,
)
from risk.models import Enforcement
from risk.tests.factories import make_breach, make_rule, make_run

pytestmark = pytest.mark.django_db
INSTANT = timedelta(microseconds=1)
Cause = Enforcement.Cause


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice, "Bold", state="connected")


@pytest.fixture
def notices() -> Notices:
    return Notices()


def titles() -> list[str]:
    return list(
        Notification.objects.order_by("created_at", "title").values_list("title", flat=True)
    )


def run_of_breach(account: ConnectedAccount, **fields: Any) -> Enforcement:
    rule = make_rule(account.user, accounts=[account], **fields)
    breach = make_breach(rule, account, latched_at=NOW)
    notify(breach_messages([breach]), now=NOW)
    return make_run(account, breach_id=breach.pk, cause=Cause.RULE, created_at=NOW)


@pytest.mark.parametrize(
    ("after", "is_told"), [(SAID_BY_BREACH - INSTANT, False), (SAID_BY_BREACH, True)]
)
def test_a_breach_that_was_just_told_says_that_it_is_acted_on(
    account: ConnectedAccount, notices: Notices, after: timedelta, is_told: bool
) -> None:
    run = run_of_breach(account)
    notices.add_started(run)
    notices.write(NOW + after)
    assert ("Bold: TradeGuard steps in" in titles()) is is_told


def test_a_run_is_told_when_its_breach_was_not(account: ConnectedAccount, notices: Notices) -> None:
    run = run_of_breach(account)
    Notification.objects.all().delete()
    notices.add_started(run)
    notices.write(NOW)
    assert titles() == ["Bold: TradeGuard steps in"]


@pytest.mark.parametrize(
    ("message", "stage", "cause", "title", "priority"),
    [
        (
            "1 position closed; the account is flat.",
            "done",
            Cause.RULE,
            "Bold: everything is closed",
            "urgent",
        ),
        (
            "1 position closed; 2 positions stay open, as intended.",
            "done",
            Cause.RULE,
            "Bold: what had to be closed is closed",
            "urgent",
        ),
        (
            "1 position closed; the account is flat.",
            "done",
            Cause.PANIC,
            "Bold: everything is closed",
            "high",
        ),
        ("Trading is off.", "given_up", Cause.PANIC, "Bold: not closed", "urgent"),
    ],
)
def test_its_end_says_what_came_of_it(
    account: ConnectedAccount, message: str, stage: str, cause: str, title: str, priority: str
) -> None:
    run = make_run(account, message=message, stage=stage, cause=cause, finished_at=NOW)
    told = finished(run)
    assert (told.title, told.priority) == (title, priority)


@pytest.mark.parametrize(
    ("ago", "is_told"), [(ENDED_LATELY - INSTANT, True), (ENDED_LATELY, False)]
)
def test_an_end_that_a_worker_died_over_is_told_by_the_next(
    account: ConnectedAccount, ago: timedelta, is_told: bool
) -> None:
    fields = {"stage": "done", "finished_at": NOW - ago, "positions_closed": 1}
    run = make_run(account, cause=Cause.RULE, **fields)
    make_run(account, cause=Cause.LOCK, **fields)
    make_run(account, cause=Cause.RULE, stage="done", finished_at=NOW)  # closed nothing
    keys = [message.dedupe_key for message in recent_run_messages(run.host, NOW)]
    assert keys == ([finished(run).dedupe_key] if is_told else [])
    assert recent_run_messages("elsewhere", NOW) == []


def test_what_waits_while_something_is_being_closed_is_written_soon(
    account: ConnectedAccount, notices: Notices
) -> None:
    assert not notices.is_due(NOW, is_busy=False)
    notices.add(started(make_run(account, cause=Cause.PANIC)))
    assert notices.is_due(NOW, is_busy=False)
    assert not notices.is_due(NOW, is_busy=True)
    assert not notices.is_due(NOW + LONGEST_WAIT - INSTANT, is_busy=True)
    assert notices.is_due(NOW + LONGEST_WAIT, is_busy=True)
    notices.write(NOW)
    assert not notices.is_due(NOW + LONGEST_WAIT, is_busy=True)


def test_what_the_database_refuses_keeps_nothing_else_back(
    account: ConnectedAccount, notices: Notices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(messages: Any, *, now: Any) -> object:
        if any("\x00" in message.body for message in messages):
            raise ValueError("A string literal cannot contain NUL (0x00) characters.")
        return notify(messages, now=now)

    monkeypatch.setattr(told_of, "notify", refusing)
    monkeypatch.setattr(told_of, "forget_connection", lambda: None)
    good = started(make_run(account, cause=Cause.PANIC))
    notices.add(replace(good, body="\x00", dedupe_key="bad:1"))
    notices.add(good)
    notices.write(NOW)
    assert titles() == ["Close all has begun"]
    assert not notices.is_due(NOW, is_busy=False)


def test_what_is_too_much_is_named_in_the_log(
    account: ConnectedAccount,
    notices: Notices,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(told_of, "MOST_WAITING", 1)
    for _ in range(2):
        notices.add(started(make_run(account, cause=Cause.PANIC)))
    assert "given up: Close all has begun" in caplog.text


def test_what_copied_closes_closed_before_is_told_as_their_work() -> None:
    assert told_of.ended_sentence(0, 0, 1, 2) == (
        "The copied closes had closed it already; 1 position stays open, as intended."
    )
    assert told_of.ended_sentence(0, 0, 1).startswith("There was nothing to close; ")
    assert told_of.ended_sentence(1, 0, 1, 2).startswith("1 position closed; ")

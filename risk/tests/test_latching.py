from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pytest
from django.db import OperationalError

from accounts.models import ConnectedAccount, User
from accounts.sessions.poll import Poll
from accounts.tests.factories import NOW, make_account
from notifications.models import Notification
from risk.core.evaluation import Evaluation, evaluate
from risk.core.exposures import exposures_of
from risk.core.latches import LatchChanges
from risk.core.states import new_state
from risk.desk import Desk, desk_fingerprint, load_desk
from risk.latch_store import latch_fingerprint
from risk.latching import LatchLedger
from risk.models import RiskRule, RuleBreach
from risk.tests.core_cases import batch, columns
from risk.tests.factories import make_breach, make_rule
from risk.tracker import Assessment

pytestmark = pytest.mark.django_db

READING = batch([{"balance": 94_000.0, "currency_digits": 2}])


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice)


@pytest.fixture
def rule(alice: User) -> RiskRule:
    return make_rule(alice, rule_type=RiskRule.Type.MAX_DRAWDOWN)


@pytest.fixture
def desk(account: ConnectedAccount, rule: RiskRule) -> Desk:
    return load_desk([account.pk], desk_fingerprint())


def note(
    ledger: LatchLedger, desk: Desk, *, opened: bool = False, cleared: bool = False, at: float = 0
) -> None:
    """Note what a tick `at` seconds after NOW decided about the only pair."""
    table, pair = desk.pairs, np.array([0])
    state = new_state(len(table), NOW.timestamp())
    accounts = columns(READING)
    exposures = exposures_of(READING)
    evaluation: Evaluation = evaluate(table, state, accounts, exposures)
    changes = LatchChanges(pair[: int(opened)], pair[: int(cleared)], state)
    assessment = Assessment(
        moment=NOW.timestamp() + at,
        desk=desk,
        accounts=accounts,
        exposures=exposures,
        evaluation=evaluation,
        latches=changes,
        reset_at=np.array([np.nan]),
    )
    ledger.note(
        assessment,
        cast("Poll", SimpleNamespace(batch=READING, read_at=np.array([NOW.timestamp()]))),
    )


def rows() -> list[tuple[float, float | None]]:
    """Return when each violation began and ended, in seconds after NOW."""
    return [
        (
            (row.latched_at - NOW).total_seconds(),
            (row.cleared_at - NOW).total_seconds() if row.cleared_at else None,
        )
        for row in RuleBreach.objects.order_by("latched_at")
    ]


def test_it_writes_a_violation_with_its_numbers_and_tells_once(
    desk: Desk, rule: RiskRule, account: ConnectedAccount
) -> None:
    ledger = LatchLedger()
    note(ledger, desk, opened=True)
    assert ledger.write(NOW) == 1
    assert ledger.write(NOW) == 0
    breach = RuleBreach.objects.get()
    assert (breach.rule_id, breach.account_id) == (rule.pk, account.pk)
    assert (breach.observed, breach.limit, breach.floor) == (94_000.0, 5_000.0, 95_000.0)
    assert (breach.unit, breach.cleared_at) == ("USD", None)
    rule.refresh_from_db()
    assert (rule.breach_count, rule.last_breach_at) == (1, NOW)
    assert Notification.objects.get().dedupe_key == f"risk_breach:{breach.pk}"


def test_it_ends_yesterdays_violation_before_todays_begins(desk: Desk) -> None:
    ledger = LatchLedger()
    note(ledger, desk, opened=True)
    ledger.write(NOW)
    note(ledger, desk, opened=True, cleared=True, at=60)
    ledger.write(NOW)
    assert rows() == [(0, 60), (60, None)]


@pytest.mark.parametrize(
    ("rule_type", "limit", "words"),
    [("MAX_DAILY_LOSS", "0.05", "new trading day"), ("POSITION_LIMIT", "5", "hold time")],
)
def test_it_says_why_a_violation_ended(
    account: ConnectedAccount, rule_type: str, limit: str, words: str
) -> None:
    make_rule(account.user, rule_type=rule_type, limit=Decimal(limit))
    desk = load_desk([account.pk], desk_fingerprint())
    ledger = LatchLedger()
    note(ledger, desk, opened=True)
    ledger.write(NOW)
    note(ledger, desk, cleared=True, at=60)
    ledger.write(NOW)
    assert words in RuleBreach.objects.get().cleared_reason


@pytest.mark.parametrize("is_written_between", [False, True])
def test_it_keeps_the_order_of_what_waits(desk: Desk, is_written_between: bool) -> None:
    ledger = LatchLedger()
    for changes in ({"opened": True}, {"cleared": True, "at": 5}, {"opened": True, "at": 9}):
        note(ledger, desk, **cast("Any", changes))
        if is_written_between:
            ledger.write(NOW)
    ledger.write(NOW)
    assert rows() == [(0, 5), (9, None)]
    assert Notification.objects.count() == 2


def test_it_keeps_everything_when_writing_fails(desk: Desk, rule: RiskRule) -> None:
    ledger = LatchLedger()
    note(ledger, desk, opened=True)
    with (
        patch("risk.latching.notify", side_effect=OperationalError("database is away")),
        pytest.raises(OperationalError),
    ):
        ledger.write(NOW)
    assert rows() == []
    note(ledger, desk, cleared=True, at=5)
    note(ledger, desk, opened=True, at=9)
    assert ledger.write(NOW + timedelta(seconds=9)) == 3
    assert rows() == [(0, 5), (9, None)]
    rule.refresh_from_db()
    assert rule.breach_count == 2


def test_it_writes_nothing_twice_after_a_worker_that_died(
    desk: Desk, rule: RiskRule, account: ConnectedAccount
) -> None:
    make_breach(rule, account)
    ledger = LatchLedger()
    note(ledger, desk, opened=True, at=1)
    ledger.write(NOW)
    assert rows() == [(0, None)]
    assert not Notification.objects.exists()


def test_it_leaves_a_later_violation_of_another_worker_alone(
    desk: Desk, rule: RiskRule, account: ConnectedAccount
) -> None:
    ledger = LatchLedger()
    note(ledger, desk, cleared=True, at=5)
    make_breach(rule, account, latched_at=NOW + timedelta(seconds=6))
    ledger.write(NOW)
    assert rows() == [(6, None)]


@pytest.mark.parametrize("gone", ["rule", "account"])
def test_it_holds_nothing_by_a_violation_of_what_was_deleted(
    desk: Desk, rule: RiskRule, account: ConnectedAccount, gone: str
) -> None:
    ledger = LatchLedger()
    note(ledger, desk, opened=True)
    (rule if gone == "rule" else account).delete()
    ledger.write(NOW + timedelta(seconds=1))
    assert rows() == [(0, 1)]
    assert "deleted" in RuleBreach.objects.get().cleared_reason
    assert not Notification.objects.exists()


def test_it_ends_many_violations_of_a_rule_in_one_statement(
    alice: User, rule: RiskRule, django_assert_num_queries: Any
) -> None:
    accounts = [make_account(alice, f"Alpha {number}") for number in range(20)]
    desk = load_desk([account.pk for account in accounts], desk_fingerprint())
    for account in accounts:
        make_breach(rule, account)
    ledger = LatchLedger()
    state = new_state(20, NOW.timestamp())
    changes = LatchChanges(np.arange(0), np.arange(20), state)
    assessment = cast(
        "Assessment", SimpleNamespace(moment=NOW.timestamp(), desk=desk, latches=changes)
    )
    ledger.note(assessment, cast("Poll", None))
    with django_assert_num_queries(3):  # a savepoint, the statement, and the savepoint's end
        ledger.write(NOW)
    assert not RuleBreach.objects.latched().exists()


def test_the_fingerprint_sees_one_latch_replaced_by_another(
    rule: RiskRule, account: ConnectedAccount, alice: User
) -> None:
    first = make_breach(rule, account)
    before = latch_fingerprint()
    RuleBreach.objects.filter(pk=first.pk).update(cleared_at=NOW)
    make_breach(rule, make_account(alice, "Other"), latched_at=NOW + timedelta(seconds=1))
    assert latch_fingerprint() != before


def test_the_fingerprint_sees_an_acknowledgement(rule: RiskRule, account: ConnectedAccount) -> None:
    make_breach(rule, account)
    before = latch_fingerprint()
    RuleBreach.objects.update(acknowledged_at=NOW)
    assert latch_fingerprint() != before


def test_a_rule_that_makes_no_sense_is_left_out_of_the_desk(
    desk: Desk, alice: User, account: ConnectedAccount, caplog: pytest.LogCaptureFixture
) -> None:
    make_rule(alice, "Broken", parameters={"reset_zone": "Nowhere/Land"})
    loaded = load_desk([account.pk], desk_fingerprint())
    assert [rule.id for rule in loaded.rules] == [rule.id for rule in desk.rules]
    assert "is not watched" in caplog.text

"""Locked accounts: what is opened there is closed again, until a person unlocks them."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from accounts.models import AccountConnection
from accounts.models.connection import ConnectionState
from accounts.refusals import Refusal
from accounts.services.locks import refuse_if_locked
from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.models import AccountLock, Enforcement, RuleBreach
from risk.services.arming import disarm_edited, disarm_rule
from risk.services.breaches import reset_rule
from risk.services.locks import refuse_loosening
from risk.services.panic import close_all
from risk.services.unlocking import unlock_account, unlocking_sentences
from tradeguard.tests.enforcement_stage import (
    crash_price,
    nothing_closed_twice,
    pendings,
    place,
    rule_on,
    trade,
    volumes,
    watched,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def test_a_lock_within_the_safety_margin_does_not_speak_of_the_limit(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule_on(account, "MAX_DAILY_LOSS", "0.05", act_at_fraction="0.9")
    stage.run(3)
    trade(stage, account, 10.0)
    crash_price(stage, 1.09530)
    stage.run(5)
    breach = RuleBreach.objects.get()
    assert breach.violated_at is None
    assert Enforcement.objects.get().reason == breach.message
    assert AccountLock.objects.get().reason == breach.message
    assert "broke" not in breach.message


def test_unlocking_without_acknowledging_does_not_lock_again(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule = rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(3)
    trade(stage, account, 10.0)
    crash_price(stage)
    stage.run(8)
    unlock_account(account=account, actor=account.user, reason="Calm again.", now=stage.now)
    stage.run(10)
    assert not AccountLock.objects.standing().exists()
    trade(stage, account, 0.1)
    stage.run(10)
    stage.kill_worker()
    stage.run(10)
    assert len(volumes(stage, account)) == 1
    assert Enforcement.objects.count() == 1
    # Acknowledging arms it again, for the next violation.
    reset_rule(rule=rule, account=account, actor=account.user, reason="Mine.", now=stage.now)
    stage.run(3)
    assert len(volumes(stage, account)) == 1


def test_a_new_worker_has_no_more_patience_than_the_one_before(stage: Stage) -> None:
    account = watched(stage, make_user())
    stage.run(3)
    close_all(accounts=[account], actor=account.user, reason="Enough.", now=stage.now)
    stage.run(5)
    for _ in range(3):
        trade(stage, account, 0.1)
        stage.run(5)
        assert volumes(stage, account) == {}
        stage.kill_worker()
        stage.run(3)
    trade(stage, account, 0.1)
    stage.run(10)
    assert len(volumes(stage, account)) == 1
    assert Notification.objects.filter(title__contains="goes on opening").count() == 1


def test_a_clock_that_is_set_back_ends_no_lock(stage: Stage) -> None:
    account = watched(stage, make_user())
    stage.run(3)
    close_all(accounts=[account], actor=account.user, reason="Enough.", now=stage.now)
    stage.run(5)
    AccountLock.objects.update(locked_at=stage.now + timedelta(hours=1))
    assert stage.tick is not None
    assert stage.tick.acting is not None
    enforcer = stage.tick.acting.desk.enforcer
    enforcer._settled_at[account.pk] += 3600  # type: ignore[union-attr]
    trade(stage, account, 0.1)
    stage.run(5)
    assert volumes(stage, account) == {}


def test_what_cannot_be_reached_can_be_unlocked(stage: Stage) -> None:
    account = watched(stage, make_user())
    stage.run(3)
    trade(stage, account, 0.1)
    stage.server.set_market_open("EURUSD", False)
    unlocking = partial(
        unlock_account, account=account, actor=account.user, reason="By phone.", now=stage.now
    )
    close_all(accounts=[account], actor=account.user, reason="Enough.", now=stage.now)
    stage.run(5)
    with pytest.raises(Refusal) as refusal:
        unlocking()
    assert refusal.value.code == "enforcing"
    AccountConnection.objects.update(state=ConnectionState.ERROR)
    unlocking()
    stage.server.set_market_open("EURUSD", True)
    stage.run(20)
    run = Enforcement.objects.get()
    assert (run.stage, run.finished_at) == ("given_up", unlocking.keywords["now"])
    assert len(volumes(stage, account)) == 1


def test_it_closes_again_what_is_opened_while_locked_until_it_is_too_often(stage: Stage) -> None:
    account = watched(stage, make_user())
    stage.run(3)
    close_all(accounts=[account], actor=account.user, reason="Enough.", now=stage.now)
    stage.run(5)
    for number in range(3):
        trade(stage, account, 0.1)
        place(stage, account, 0.1, 1.05)
        stage.run(10)
        assert volumes(stage, account) == {}
        assert pendings(stage, account) == []
        assert Enforcement.objects.filter(cause="lock", stage="done").count() == number + 1
    trade(stage, account, 0.1)
    stage.run(20)
    assert len(volumes(stage, account)) == 1
    assert (
        Notification.objects.filter(title__contains="goes on opening", priority="urgent").count()
        == 1
    )
    stage.run(30, seconds=2.0)
    assert volumes(stage, account) == {}
    assert set(nothing_closed_twice(stage, account).values()) == {Decimal(0)}


def test_it_leaves_what_is_opened_after_unlocking(stage: Stage) -> None:
    account = watched(stage, make_user())
    stage.run(3)
    close_all(accounts=[account], actor=account.user, reason="Enough.", now=stage.now)
    stage.run(5)
    unlock_account(account=account, actor=account.user, reason="Calm again.", now=stage.now)
    trade(stage, account, 0.1)
    stage.run(20)
    assert len(volumes(stage, account)) == 1


def test_a_locked_account_and_its_rule_cannot_be_loosened(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule = rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(3)
    trade(stage, account, 10.0)
    crash_price(stage)
    stage.run(10)
    actor = account.user
    reset_rule(rule=rule, account=account, actor=actor, reason="I know.", now=stage.now)
    changes: tuple[Callable[[], object], ...] = (
        lambda: disarm_rule(rule=rule, accounts=[account], actor=actor, now=stage.now),
        lambda: refuse_loosening(before=rule, after=None, accounts=None, groups=None),
        lambda: refuse_if_locked(account_id=account.pk, change="deleted"),
    )
    for change in changes:
        with pytest.raises(Refusal) as refusal:
            change()
        assert refusal.value.code == "locked"
    assert disarm_edited(rule) == 0
    assert rule.armings.count() == 1
    actor.time_zone = "Europe/Prague"
    sentences = unlocking_sentences(account)
    at = stage.now.astimezone(ZoneInfo("Europe/Prague"))
    assert f"The lock of 18 November 2026, {at:%H:%M} (Europe/Prague)" in sentences.changes[0]
    unlock_account(account=account, actor=actor, reason="Tomorrow again.", now=stage.now)
    disarm_rule(rule=rule, accounts=[account], actor=actor, now=stage.now)
    with pytest.raises(Refusal):
        unlock_account(account=account, actor=actor, reason="Again.", now=stage.now)


def test_it_cannot_be_unlocked_while_it_is_closing(stage: Stage) -> None:
    account = watched(stage, make_user())
    close_all(accounts=[account], actor=account.user, reason="Enough.", now=stage.now)
    with pytest.raises(Refusal) as refusal:
        unlock_account(account=account, actor=account.user, reason="No.", now=stage.now)
    assert refusal.value.code == "enforcing"

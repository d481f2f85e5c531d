"""Locked accounts: what is opened there is closed again, until a person unlocks them."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from accounts.models import AccountConnection
from accounts.models.connection import ConnectionState
from accounts.refusals import Refusal
from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.models import AccountLock, Enforcement, RuleBreach
from risk.services.breaches import reset_rule
from risk.services.panic import close_all
from risk.services.unlocking import unlock_account
from tradeguard.tests.enforcement_stage import crash_price, rule_on, trade, volumes, watched
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
    assert stage.tick.desk is not None
    enforcer = stage.tick.desk.enforcer
    enforcer._settled_at[account.pk] += 3600  # type: ignore[union-attr]
    trade(stage, account, 0.1)
    stage.run(5)
    assert volumes(stage, account) == {}


def test_what_cannot_be_reached_can_be_unlocked(stage: Stage) -> None:
    account = watched(stage, make_user())
    stage.run(3)
    trade(stage, account, 0.1)
    stage.server.set_market_open("EURUSD", False)
    unlocking = {"account": account, "actor": account.user, "reason": "By phone.", "now": stage.now}
    close_all(accounts=[account], actor=account.user, reason="Enough.", now=stage.now)
    stage.run(5)
    with pytest.raises(Refusal) as refusal:
        unlock_account(**unlocking)
    assert refusal.value.code == "enforcing"
    AccountConnection.objects.update(state=ConnectionState.ERROR)
    unlock_account(**unlocking)
    stage.server.set_market_open("EURUSD", True)
    stage.run(20)
    run = Enforcement.objects.get()
    assert (run.stage, run.finished_at) == ("given_up", unlocking["now"])
    assert len(volumes(stage, account)) == 1

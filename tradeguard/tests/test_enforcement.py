"""What each action does to an account, from the tick that shows the violation until it is flat."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.models import AccountLock, Enforcement, Order
from risk.services.arming import arm_rule, arming_views
from risk.services.panic import close_all
from tradeguard.tests.enforcement_stage import (
    MARGIN_MODES,
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


@pytest.mark.parametrize("mode", MARGIN_MODES)
def test_it_deletes_closes_confirms_and_locks(stage: Stage, mode: str) -> None:
    account = watched(stage, make_user(), margin_mode=MARGIN_MODES[mode])
    rule = rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(3)
    for lots in (3.0, 4.0, 3.0):
        trade(stage, account, lots)
    place(stage, account, 1.0, 1.05)
    stage.run(2)
    assert not Enforcement.objects.exists()
    crash_price(stage)
    stage.run(10)
    run = Enforcement.objects.get()
    assert (run.stage, run.cause, run.action) == ("done", "rule", "CLOSE_ALL")
    assert run.positions_closed == (1 if mode == "netting" else 3)
    assert run.orders_cancelled == 1
    assert run.rule_id == rule.pk
    assert run.confirmed_at is not None
    assert "the account is flat" in run.message
    assert volumes(stage, account) == {}
    assert pendings(stage, account) == []
    assert set(nothing_closed_twice(stage, account).values()) == {Decimal(0)}
    lock = AccountLock.objects.get()
    assert (lock.unlocked_at, lock.breach_id, lock.enforcement_id) == (
        None,
        run.breach_id,
        run.pk,
    )
    titles = list(Notification.objects.filter(type="enforcement").values_list("title", flat=True))
    assert titles == ["Bold: everything is closed"]
    assert Order.objects.filter(enforcement_id=run.pk).count() == run.positions_closed + 1


def test_it_starts_one_run_however_long_the_violation_lasts(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(3)
    trade(stage, account, 10.0)
    crash_price(stage)
    stage.run(30)
    assert Enforcement.objects.count() == 1
    assert AccountLock.objects.count() == 1
    assert Order.objects.count() == 1


def test_it_closes_nothing_where_it_is_not_armed(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule_on(account, "MAX_DAILY_LOSS", "0.05").armings.all().delete()
    stage.run(3)
    trade(stage, account, 10.0)
    crash_price(stage)
    stage.run(10)
    assert len(volumes(stage, account)) == 1
    assert not Enforcement.objects.exists()
    assert not Order.objects.exists()


def test_it_closes_nothing_for_a_violation_from_before_it_was_armed(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule = rule_on(account, "MAX_DAILY_LOSS", "0.05")
    rule.armings.all().delete()
    stage.run(3)
    trade(stage, account, 10.0)
    crash_price(stage)
    stage.run(5)
    arm_rule(rule=rule, accounts=[account], actor=account.user, now=stage.now)
    stage.run(20)
    assert len(volumes(stage, account)) == 1
    assert not Enforcement.objects.exists()


def test_it_locks_an_account_that_is_flat_already(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(3)
    ticket = trade(stage, account, 10.0)
    crash_price(stage)
    trade(stage, account, -10.0, position=ticket)
    stage.run(5)
    run = Enforcement.objects.get()
    assert (run.stage, run.positions_closed) == ("done", 0)
    assert run.message == "There was nothing to close; the account is flat."
    assert AccountLock.objects.standing().count() == 1
    assert not Order.objects.exists()


@pytest.mark.parametrize("mode", MARGIN_MODES)
def test_it_reduces_the_newest_to_the_size_allowed(stage: Stage, mode: str) -> None:
    account = watched(stage, make_user(), margin_mode=MARGIN_MODES[mode])
    rule_on(account, "MAX_POSITION_SIZE", "1.00", action="REDUCE_SIZE")
    stage.run(3)
    first = trade(stage, account, 0.70)
    second = trade(stage, account, 0.50)
    stage.run(10)
    held = volumes(stage, account)
    expected = {first: Decimal("1.00")} if mode == "netting" else None
    assert held == (expected or {first: Decimal("0.70"), second: Decimal("0.30")})
    assert not AccountLock.objects.exists()
    run = Enforcement.objects.get()
    assert (run.action, run.stage, run.positions_closed) == ("REDUCE_SIZE", "done", 1)
    nothing_closed_twice(stage, account)


def test_it_closes_the_offending_positions_only_and_does_not_lock(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule_on(account, "POSITION_LIMIT", "2", action="CLOSE_POSITION", closing_order="newest_first")
    stage.run(3)
    tickets = [trade(stage, account, 0.10) for _ in range(4)]
    stage.run(10)
    assert set(volumes(stage, account)) == set(tickets[:2])
    assert not AccountLock.objects.exists()
    nothing_closed_twice(stage, account)


@pytest.mark.parametrize("mode", MARGIN_MODES)
def test_it_closes_a_part_of_each_position_once(stage: Stage, mode: str) -> None:
    account = watched(stage, make_user(), margin_mode=MARGIN_MODES[mode])
    rule_on(
        account, "MAX_DAILY_LOSS", "0.05", action="CLOSE_POSITION", close_fraction=Decimal("0.5")
    )
    stage.run(3)
    trade(stage, account, 6.0)
    trade(stage, account, 5.0)
    crash_price(stage)
    stage.run(15)
    left = sorted(volumes(stage, account).values())
    assert left == ([Decimal("5.5")] if mode == "netting" else [Decimal("2.5"), Decimal(3)])
    assert Enforcement.objects.count() == 1
    late = trade(stage, account, 1.0, "GBPUSD")
    stage.run(10)
    assert volumes(stage, account)[late] == Decimal("0.5")
    assert sorted(volumes(stage, account).values())[1:] == left
    nothing_closed_twice(stage, account)


def test_it_spares_winners_and_keeps_them_while_it_is_locked(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule_on(account, "MAX_DAILY_LOSS", "0.05", losers_only=True)
    stage.run(3)
    trade(stage, account, 10.0)
    winner = trade(stage, account, -1.0)
    crash_price(stage)
    stage.run(20)
    assert set(volumes(stage, account)) == {winner}
    assert AccountLock.objects.standing().count() == 1
    assert Enforcement.objects.get().message.endswith("1 position stays open, as intended.")
    stage.kill_worker()
    stage.run(20)
    assert set(volumes(stage, account)) == {winner}


def test_it_closes_hedged_legs_by_each_other(stage: Stage) -> None:
    account = watched(stage, make_user())
    stage.run(3)
    trade(stage, account, 2.0)
    trade(stage, account, -1.5)
    stage.run(2)
    close_all(accounts=[account], actor=account.user, reason="Enough.", now=stage.now)
    stage.run(10)
    assert volumes(stage, account) == {}
    kinds = list(Order.objects.order_by("created_at").values_list("kind", "state"))
    assert kinds == [("close_by", "filled"), ("close", "filled")]
    run = Enforcement.objects.get()
    assert (run.stage, run.positions_closed, run.cause) == ("done", 2, "panic")


def test_it_closes_all_when_somebody_asks_and_stays_locked(stage: Stage) -> None:
    account, other = watched(stage, make_user()), watched(stage, make_user("bob"), "Calm")
    stage.run(3)
    trade(stage, account, 0.5)
    trade(stage, other, 0.5)
    place(stage, account, 1.0, 1.05)
    stage.run(2)
    asked: dict[str, Any] = {
        "accounts": [account],
        "actor": account.user,
        "reason": "Enough.",
        "now": stage.now,
    }
    (run,) = close_all(**asked)
    (same,) = close_all(**asked)
    assert run.pk == same.pk
    stage.run(5)
    run.refresh_from_db()
    assert (run.stage, run.positions_closed, run.orders_cancelled) == ("done", 1, 1)
    assert volumes(stage, account) == {}
    assert len(volumes(stage, other)) == 1
    assert AccountLock.objects.standing().get().reason == "Enough."


def test_it_says_that_an_investor_login_can_close_nothing(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(3)
    trade(stage, account, 10.0)
    stage.server.set_trade_allowed(account.login, False)
    crash_price(stage)
    stage.run(10)
    assert not Enforcement.objects.exists()
    close_all(accounts=[account], actor=account.user, reason="Enough.", now=stage.now)
    stage.run(10)
    run = Enforcement.objects.get()
    assert run.stage == "given_up"
    assert run.message.startswith("Watching only")
    assert len(volumes(stage, account)) == 1
    assert not Order.objects.exists()
    assert Notification.objects.filter(type="enforcement", priority="urgent").count() == 1


def test_it_shows_what_a_rule_would_do_before_it_is_armed(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule = rule_on(account, "MAX_DAILY_LOSS", "0.05")
    rule.armings.all().delete()
    (view,) = arming_views(rules=[rule], now=stage.now)
    assert "no fresh reading" in view.sentence
    stage.run(3)
    trade(stage, account, 5.0)
    trade(stage, account, 5.0)
    place(stage, account, 1.0, 1.05)
    stage.run(2)
    (view,) = arming_views(rules=[rule], now=stage.now)
    assert (view.is_armed, view.is_violated) == (False, False)
    assert "closes 2 positions, deletes 1 pending order" in view.sentence
    crash_price(stage)
    stage.run(3)
    (view,) = arming_views(rules=[rule], now=stage.now)
    assert (view.is_armed, view.is_violated) == (False, True)
    assert "closes nothing because of this violation" in view.sentence
    names = {each.rule.name for each in arming_views(account=account, now=stage.now)}
    assert names == {rule.name, "Margin cut-off"}

"""What the actions of rules promise, each sentence with a test of its own."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.models import AccountLock, Enforcement, Order, RiskRule, RuleBreach
from tradeguard.tests.enforcement_stage import (
    armed,
    crash_price,
    place,
    rule_on,
    trade,
    volumes,
    watched,
)
from tradeguard.tests.stage import Stage, group_of, staged

REMOVE = 8  # TRADE_ACTION_REMOVE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.mark.parametrize("action", ["ALERT", "BLOCK"])
def test_what_only_alerts_or_blocks_touches_nothing(stage: Stage, action: str) -> None:
    account = watched(stage, make_user())
    rule = rule_on(account, "MAX_DAILY_LOSS", "0.05", action=action)
    stage.run(3)
    ticket = trade(stage, account, 10.0)
    crash_price(stage)
    stage.run(20)
    assert RuleBreach.objects.latched().filter(rule_id=rule.pk).count() == 1
    assert (
        Notification.objects.filter(user=account.user, title__contains="is violated").count() == 1
    )
    assert set(volumes(stage, account)) == {ticket}
    assert not Enforcement.objects.exists()
    assert not AccountLock.objects.exists()
    assert not Order.objects.exists()


def test_it_locks_then_deletes_then_closes_the_largest_loss_first(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, int, bool]] = []
    call = stage.server.call

    def recorded(method: str, *arguments: Any) -> Any:
        if method == "order_send" and arguments[1].get("magic"):
            request = arguments[1]
            is_delete = request["action"] == REMOVE
            ticket = request["order"] if is_delete else request["position"]
            is_locked = AccountLock.objects.standing().exists()
            sent.append(("delete" if is_delete else "close", ticket, is_locked))
        return call(method, *arguments)

    monkeypatch.setattr(stage.server, "call", recorded)
    account = watched(stage, make_user())
    rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(3)
    small, large, middle = (trade(stage, account, lots) for lots in (2.0, 5.0, 3.0))
    winner = trade(stage, account, 1.0, "GBPUSD")
    waiting = place(stage, account, 1.0, 1.05)
    bid, ask = call("symbol_tick", account.login, "GBPUSD")[1:3]
    stage.server.set_prices("GBPUSD", bid + 0.01, ask + 0.01)
    stage.run(2)
    crash_price(stage)
    stage.run(10)
    assert sent == [
        ("delete", waiting, True),
        ("close", large, True),
        ("close", middle, True),
        ("close", small, True),
        ("close", winner, True),
    ]


def test_it_stays_locked_while_flat_cannot_be_confirmed(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule_on(account, "MAX_DAILY_LOSS", "0.05")
    stage.run(3)
    trade(stage, account, 10.0)
    stage.server.set_market_open("EURUSD", False)
    crash_price(stage)
    stage.run(20)
    run = Enforcement.objects.get()
    assert run.stage == "waiting"
    assert run.confirmed_at is None
    assert AccountLock.objects.standing().count() == 1
    stage.server.set_market_open("EURUSD", True)
    stage.run(60, seconds=1.0)
    run.refresh_from_db()
    assert run.stage == "done"
    assert volumes(stage, account) == {}
    assert AccountLock.objects.standing().count() == 1


def test_a_group_rule_acts_on_the_member_that_broke_it_and_on_no_other(stage: Stage) -> None:
    user = make_user()
    bold, calm = watched(stage, user), watched(stage, user, "Calm")
    rule = RiskRule.objects.create(
        user=user,
        name="Desk",
        rule_type=RiskRule.Type.MAX_DAILY_LOSS,
        limit=Decimal("0.05"),
        action=RiskRule.Action.CLOSE_ALL,
    )
    rule.groups.add(group_of(user, bold, calm))
    armed(rule, bold, calm)
    stage.run(3)
    trade(stage, bold, 10.0)
    kept = trade(stage, calm, 1.0)
    crash_price(stage)
    stage.run(15)
    assert volumes(stage, bold) == {}
    assert set(volumes(stage, calm)) == {kept}
    assert [lock.account_id for lock in AccountLock.objects.all()] == [bold.pk]
    assert {run.account_id for run in Enforcement.objects.all()} == {bold.pk}

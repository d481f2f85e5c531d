"""Changes of stops and pending orders, from the row through the gate to the broker."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from accounts.models import ConnectedAccount, User
from risk.models import AccountLock, GateCheck, Order, RiskRule
from risk.services import orders as services
from risk.tests.factories import make_rule
from risk.tests.order_stage import OrderStage, order_stage

pytestmark = pytest.mark.django_db(transaction=True)
State = Order.State


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[OrderStage]:
    with order_stage(tmp_path) as stage:
        stage.gate = cast("Any", None)  # the host's own gate
        yield stage


def required(user: User, **fields: Any) -> RiskRule:
    kind = RiskRule.Type.STOP_LOSS_REQUIRED
    limit, action = Decimal(5), RiskRule.Action.BLOCK
    terms = {"rule_type": kind, "limit": limit, "action": action, "parameters": {}, **fields}
    return make_rule(user, "Stops", **terms)


def asked(stage: OrderStage, account: ConnectedAccount, **fields: Any) -> dict[str, Any]:
    return {"account": account, "user": account.user, "now": stage.now, **fields}


def test_it_keeps_a_stop_that_a_rule_needs_and_lets_it_be_tightened(
    stage: OrderStage, alice: User
) -> None:
    account = stage.connect(alice)
    order = stage.ended(stage.buy(account, stop_loss=1.09))
    assert order.state == State.FILLED, order.message
    required(alice)
    stage.run(6)
    ticket = stage.terminal(account).positions()[0].ticket

    removed = services.modify_position(**asked(stage, account, ticket=ticket, stop_loss=0.0))
    removed = stage.ended(removed)

    assert (removed.state, removed.refused_by) == (State.REJECTED, "gate")
    assert removed.message == "Stops: the stop loss can be moved, and not be removed."
    check = GateCheck.objects.get(order_id=removed.pk, rule_name="Stops")
    assert (check.verdict, check.check_name) == ("block", "STOP_LOSS_REQUIRED")
    assert stage.terminal(account).positions()[0].stop_loss == 1.09

    AccountLock.objects.create(
        user_id=alice.pk, account_id=account.pk, account_name="Bold", cause="panic",
        reason="Locked.", locked_at=stage.now,
    )  # fmt: skip
    tighter = services.modify_position(**asked(stage, account, ticket=ticket, stop_loss=1.095))
    assert stage.ended(tighter).state == State.FILLED
    assert GateCheck.objects.get(order_id=tighter.pk).check_name == "tighter_stop"
    assert stage.terminal(account).positions()[0].stop_loss == 1.095
    close = services.close_position(**asked(stage, account, ticket=ticket))
    assert stage.ended(close).state == State.FILLED


def test_it_checks_a_moved_pending_order_like_a_new_one_in_its_place(
    stage: OrderStage, alice: User
) -> None:
    account = stage.connect(alice)
    make_rule(
        alice, "Small", rule_type=RiskRule.Type.MAX_POSITION_SIZE, limit=Decimal("0.10"),
        parameters={}, action=RiskRule.Action.REDUCE_SIZE,
    )  # fmt: skip
    loss = make_rule(
        alice, "Daily", rule_type=RiskRule.Type.MAX_DAILY_LOSS, limit=Decimal(300),
        parameters={"amount_kind": "money"}, action=RiskRule.Action.BLOCK,
    )  # fmt: skip
    stage.run(6)
    order = stage.ended(stage.buy(account, type="limit", price=1.09, stop_loss=1.08))
    assert order.state == State.PLACED, order.message
    stage.run(2)
    ticket = order.order_ticket

    # It does not stand in its own way: 0.10 lots stay 0.10 lots.
    moved = services.modify_order(**asked(stage, account, ticket=ticket, price=1.085))
    assert stage.ended(moved).state == State.FILLED, moved.message
    (row,) = stage.terminal(account).pending_orders()
    assert (row.price_open, row.stop_loss) == (1.085, 1.08)

    stage.run(2)
    wider = services.modify_order(**asked(stage, account, ticket=ticket, stop_loss=1.05))
    wider = stage.ended(wider)
    assert (wider.state, wider.refused_by) == (State.REJECTED, "gate")
    assert wider.message == (
        "Daily: if the stop is hit, 350.00 of 300.00 USD are lost; a stop at 1.05501 would pass."
    )
    up = services.modify_order(**asked(stage, account, ticket=ticket, price=1.099, stop_loss=1.05))
    assert "Daily: if 0.1 lots end at the stop" in stage.ended(up).message
    assert GateCheck.objects.get(order_id=up.pk, rule_id=loss.pk).value == pytest.approx(490.0)
    (row,) = stage.terminal(account).pending_orders()
    assert (row.price_open, row.stop_loss) == (1.085, 1.08)

    RiskRule.objects.filter(name="Small").update(limit=Decimal("0.05"))
    RiskRule.objects.get(name="Small").save(update_fields=["updated_at"])
    stage.run(6)
    again = services.modify_order(**asked(stage, account, ticket=ticket, price=1.086))
    again = stage.ended(again)
    assert (again.state, again.refused_by) == (State.REJECTED, "gate")
    assert GateCheck.objects.get(order_id=again.pk, rule_name="Small").verdict == "block"


def test_the_change_that_was_asked_for_last_stays(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    assert stage.ended(stage.buy(account)).state == State.FILLED
    stage.run(3)
    ticket = stage.terminal(account).positions()[0].ticket
    first = services.modify_position(**asked(stage, account, ticket=ticket, stop_loss=1.08))
    # Its terminal gave no answer a moment ago: it is tried again then.
    Order.objects.filter(pk=first.pk).update(next_attempt_at=stage.now + timedelta(minutes=1))
    stage.run()
    second = services.modify_position(**asked(stage, account, ticket=ticket, stop_loss=1.09))
    stage.run(2)
    states = Order.objects.filter(pk__in=[first.pk, second.pk]).values_list("state", flat=True)
    assert set(states) == {State.PENDING}
    Order.objects.filter(pk=first.pk).update(next_attempt_at=stage.now)
    stage.run(5)
    assert stage.ended(first).state == stage.ended(second).state == State.FILLED
    assert stage.terminal(account).positions()[0].stop_loss == 1.09


def test_a_close_waits_for_no_change(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    assert stage.ended(stage.buy(account)).state == State.FILLED
    stage.run(3)
    ticket = stage.terminal(account).positions()[0].ticket
    change = services.modify_position(**asked(stage, account, ticket=ticket, stop_loss=1.08))
    Order.objects.filter(pk=change.pk).update(next_attempt_at=stage.now + timedelta(minutes=1))
    close = services.close_position(**asked(stage, account, ticket=ticket))
    assert stage.ended(close).state == State.FILLED

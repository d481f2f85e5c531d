"""What each action does to an account, from the tick that shows the violation until it is flat."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.models import AccountLock, Enforcement, Order
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
    assert len(titles) == 2
    assert Order.objects.filter(enforcement_id=run.pk).count() == run.positions_closed + 1

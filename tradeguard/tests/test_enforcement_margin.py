"""The margin cut-off, and the broker's own."""

from collections.abc import Iterator

import pytest

from accounts.figures import signed
from accounts.models import Deal
from accounts.tests.factories import make_user
from notifications.models import Notification
from risk.models import AccountLock, Enforcement, RiskRule
from tradeguard.tests.enforcement_stage import (
    armed,
    crash_price,
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


def liquidations() -> list[str]:
    told = Notification.objects.filter(type="liquidation", priority="urgent")
    return list(told.order_by("created_at").values_list("body", flat=True))


def test_it_tells_of_a_stop_out_by_the_broker_once(stage: Stage) -> None:
    account = watched(stage, make_user(), deposit=1_000.0, stop_out_level=30.0, leverage=500)
    stage.run(3)
    for _ in range(2):
        trade(stage, account, 1.0)  # 440 of margin together, 20 for each pip
    crash_price(stage, 1.09400)
    for _ in range(5):
        stage.server.step()
        stage.run(2)
    assert volumes(stage, account) == {}
    (body,) = liquidations()
    assert "closed " in body
    assert "(stop-out), with a result of −" in body
    stage.kill_worker()
    stage.run(10)
    assert len(liquidations()) == 1


def test_it_tells_all_that_a_stop_out_closes(stage: Stage) -> None:
    account = watched(stage, make_user(), deposit=1_000.0, stop_out_level=30.0, leverage=500)
    stage.run(3)
    for _ in range(4):
        trade(stage, account, 0.5)  # 110 of margin each, 5 for each pip
    stage.run(2)
    bid = 1.09600
    while volumes(stage, account):
        crash_price(stage, bid)
        stage.server.step()
        stage.run(2)
        bid -= 0.00050
    told = Notification.objects.filter(type="liquidation").order_by("created_at")
    titles = list(told.values_list("title", flat=True))
    assert titles[0] == "Bold was liquidated by its broker"
    assert len(titles) > 1
    assert set(titles[1:]) == {"Bold goes on being liquidated by its broker"}
    assert "closed 4 positions by itself so far" in liquidations()[-1]
    closed = Deal.objects.filter(account=account, entry=1)
    result = sum(deal.profit + deal.swap + deal.commission + deal.fee for deal in closed)
    assert f"{signed(float(result))} USD" in liquidations()[-1]


def test_the_past_is_no_news(stage: Stage) -> None:
    account = watched(stage, make_user(), deposit=1_000.0, stop_out_level=30.0, leverage=500)
    stage.clock[0] -= 86_400 * 2
    trade(stage, account, 2.0)
    crash_price(stage, 1.09400)
    stage.server.step()
    assert volumes(stage, account) == {}
    stage.clock[0] += 86_400 * 4
    stage.run(10)
    assert liquidations() == []


def test_it_warns_once_and_liquidates_when_the_margin_runs_out(stage: Stage) -> None:
    account = watched(stage, make_user(), deposit=1_000.0, stop_out_level=5.0, leverage=500)
    stage.run(3)
    armed(RiskRule.objects.get(is_cutoff=True), account)
    trade(stage, account, 2.0)  # 440 of margin, 20 for each pip
    stage.run(10)

    def warnings() -> int:
        return Notification.objects.filter(type="margin_warning").count()

    crash_price(stage, 1.09630)
    stage.run(5)
    assert (warnings(), len(volumes(stage, account))) == (0, 1)
    for bid in (1.09600, 1.09590, 1.09595):
        crash_price(stage, bid)
        stage.run(3)
    assert (warnings(), len(volumes(stage, account))) == (1, 1)
    crash_price(stage, 1.09630)
    stage.run(3)
    crash_price(stage, 1.09600)
    stage.run(3)
    assert warnings() == 2
    crash_price(stage, 1.09515)
    stage.run(10)
    assert volumes(stage, account) == {}
    run = Enforcement.objects.get()
    assert (run.cause, run.stage) == ("cutoff", "done")
    assert Notification.objects.filter(type="liquidation", priority="urgent").count() == 1
    assert not Notification.objects.filter(type="risk_breach").exists()  # the same, told once
    assert AccountLock.objects.standing().get().cause == "cutoff"
    assert warnings() == 2


def test_it_says_that_the_broker_would_be_first(stage: Stage) -> None:
    watched(stage, make_user(), stop_out_level=30.0)
    watched(stage, make_user("bob"), "Calm", stop_out_level=10.0)
    stage.run(30)
    told = Notification.objects.get()
    assert told.type == "margin_warning"
    assert "at a margin level of 30 %" in told.body

"""The margin cut-off, and the broker's own."""

from collections.abc import Iterator

import pytest

from accounts.tests.factories import make_user
from notifications.models import Notification
from tradeguard.tests.enforcement_stage import crash_price, trade, volumes, watched
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
    assert "stop-out" in body
    stage.kill_worker()
    stage.run(10)
    assert len(liquidations()) == 1


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

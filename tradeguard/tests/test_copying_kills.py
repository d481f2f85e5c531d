"""A worker that dies between a provider's trade and its copies: none is missed or repeated."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import User
from copytrade.models import CopyEvent, CopyOrder
from copytrade.replication import desk as copy_desk
from copytrade.replication import replicator
from copytrade.replication.folding import Folds
from copytrade.replication.planning import Planning
from risk.models import Order
from tradeguard.tests.copying_deaths import die, dying
from tradeguard.tests.copying_stage import Desk, close, desk_of, held
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE = Decimal("1.00")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def desk(stage: Stage, alice: User) -> Desk:
    return desk_of(stage, alice, 5)


PLACES = [
    (copy_desk, "store_events", 0, False),
    (copy_desk, "store_events", 0, True),
    (Planning, "crowds", 0, True),
    (Folds, "write", 0, False),
    (Folds, "write", 1, False),
]


@pytest.mark.parametrize(("module", "name", "after", "is_done"), PLACES)
def test_a_death_before_the_orders_are_written_costs_only_time(
    stage: Stage,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    after: int,
    is_done: bool,
) -> None:
    provider, followers = desk
    monkeypatch.setattr(replicator, "WAVE", 2)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, dying(getattr(module, name), after=after, is_done=is_done))
        ticket = stage.buy(provider, 1.0)
        die(stage)
    stage.run(12, seconds=1.0)

    assert held(stage, followers) == [[ONE]] * 5
    assert CopyEvent.objects.count() == 1
    assert CopyOrder.objects.count() == Order.objects.count() == 5

    with monkeypatch.context() as patch:
        patch.setattr(module, name, dying(getattr(module, name), after=after, is_done=is_done))
        close(stage, provider, ticket)
        die(stage)
    stage.run(12, seconds=1.0)

    assert held(stage, followers) == [[]] * 5
    assert {row.state for row in CopyOrder.objects.all()} == {"done"}
    assert CopyEvent.objects.filter(planned_at=None).count() == 0


@pytest.mark.parametrize("sent", [0, 1, 2, 4])
def test_a_death_within_a_batch_repeats_nothing_and_closes_everything(
    stage: Stage,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    sent: int,
) -> None:
    provider, followers = desk
    monkeypatch.setattr(replicator, "WAVE", 3)
    submit = stage.server.submit
    with monkeypatch.context() as patch:
        patch.setattr(stage.server, "submit", dying(submit, after=sent))
        ticket = stage.buy(provider, 1.0)
        die(stage)
    stage.run(20, seconds=1.0)

    # What was written as sent and never left is not sent again: it would be a double if it had.
    lots = held(stage, followers)
    written = 3 if sent < 3 else 5
    assert [len(each) for each in lots].count(1) == 5 - (written - sent - 1)
    assert all(len(each) <= 1 for each in lots)
    rows = CopyOrder.objects.all()
    assert {row.state for row in rows} <= {"done", "failed"}
    assert all(row.sentence for row in rows if row.state == "failed")

    with monkeypatch.context() as patch:
        patch.setattr(stage.server, "submit", dying(submit, after=min(sent, 1)))
        close(stage, provider, ticket)
        die(stage)
    stage.run(25, seconds=1.0)

    assert held(stage, followers) == [[]] * 5
    assert set(CopyOrder.objects.values_list("state", flat=True)) <= {"done", "failed", "skipped"}

"""Changed pending orders that leave together: what is gone, unanswered, or cut off by a death."""

from collections.abc import Iterator

import pytest

from accounts.models import User
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.models import CopyOrder
from copytrade.replication import changing
from copytrade.replication.changing import NEWEST_SECONDS
from copytrade.replication.folding import Folds
from tradeguard.tests.copying_deaths import Killed, LostFence, after_writing, dying
from tradeguard.tests.copying_pendings import (
    changes,
    desk_of,
    move,
    placed,
    prices,
    send,
    waiting_at,
)
from tradeguard.tests.copying_stage import Desk, replicator_of
from tradeguard.tests.enforcement_stage import crash_price, pass_time, terminal_of
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

GONE = ("rejected", "There is no such pending order any more.")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def desk(stage: Stage, alice: User) -> Desk:
    return desk_of(stage, alice)


@pytest.mark.parametrize("newest", [NEWEST_SECONDS, -1.0])
@pytest.mark.parametrize("way", ["cancelled", "filled"])
def test_an_order_that_is_gone_since_it_was_read_is_told(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, way: str, newest: float
) -> None:
    provider, followers = desk
    ticket = placed(stage, desk)
    (mine,) = waiting_at(stage, followers[:1])
    move(stage, followers[0], mine.ticket, 1.095)
    stage.run(10)

    def gone() -> None:
        if way == "filled":
            crash_price(stage, 1.094)
        else:
            send(stage, followers[0], action=mt5.TRADE_ACTION_REMOVE, order=mine.ticket)

    with monkeypatch.context() as patch:
        patch.setattr(changing, "NEWEST_SECONDS", newest)
        after_writing(patch, gone)
        move(stage, provider, ticket, 1.08)
        stage.run(1)
    stage.run(8)
    assert prices(stage, desk) == [1.08] * 3
    assert len(terminal_of(stage, followers[0]).positions()) == (way == "filled")
    order = changes().get(account_id=followers[0].pk)
    assert (order.state, order.message) == GONE
    assert CopyOrder.objects.get(order_id=order.pk).state == "failed"
    others = changes().exclude(pk=order.pk)
    assert set(others.values_list("state", "attempts")) == {("filled", 1)}


def test_who_lost_the_host_while_writing_moves_nothing(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = placed(stage, desk)
    one = replicator_of(stage)
    with monkeypatch.context() as patch:
        after_writing(patch, lambda: patch.setattr(one.hand_over, "_fence", LostFence()))
        move(stage, desk[0], ticket, 1.08)
        stage.run(1)
        assert prices(stage, desk) == [1.09] * 4
        assert set(changes().values_list("state", flat=True)) == {"pending"}
    stage.run(8)
    assert prices(stage, desk) == [1.08] * 4


@pytest.mark.parametrize("fault", [FaultKind.TIMEOUT_AFTER, FaultKind.TIMEOUT_BEFORE])
def test_a_lost_answer_is_found_out(stage: Stage, desk: Desk, fault: FaultKind) -> None:
    ticket = placed(stage, desk)
    stage.server.set_fault(desk[1][0].login, fault, once=True)
    move(stage, desk[0], ticket, 1.08)
    pass_time(stage, 80)
    assert prices(stage, desk) == [1.08] * 4
    assert changes().count() == 4 + (fault is FaultKind.TIMEOUT_BEFORE)


@pytest.mark.parametrize("sent", [0, 3])
@pytest.mark.parametrize("is_sent", [False, True])
def test_a_death_while_they_leave_loses_no_change(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, sent: int, is_sent: bool
) -> None:
    ticket = placed(stage, desk)
    with monkeypatch.context() as patch:
        work = dying(stage.server.submit, after=sent, is_done=is_sent)
        patch.setattr(stage.server, "submit", work)
        move(stage, desk[0], ticket, 1.08)
        with pytest.raises(Killed):
            stage.run(3)
        stage.kill_worker()
    stage.run(25, seconds=1.0)
    assert prices(stage, desk) == [1.08] * 4
    # Whose changes had not left has a second one.
    states = sorted(changes().values_list("state", flat=True))
    assert states == ["filled"] * 4 + ["not_executed"] * (4 - sent - is_sent)
    moved = CopyOrder.objects.filter(order_id__in=changes().values("pk"))
    assert [row.state for row in moved] == ["done"] * 4


@pytest.mark.parametrize("is_done", [False, True])
def test_a_death_around_the_writing_loses_no_change(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    ticket = placed(stage, desk)
    with monkeypatch.context() as patch:
        patch.setattr(Folds, "write", dying(Folds.write, is_done=is_done))
        move(stage, desk[0], ticket, 1.08)
        with pytest.raises(Killed):
            stage.run(3)
        stage.kill_worker()
    stage.run(25, seconds=1.0)
    assert prices(stage, desk) == [1.08] * 4

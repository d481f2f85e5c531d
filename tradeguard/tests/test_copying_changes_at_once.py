"""A provider's moved stop, sent to all followers together by what their readings show."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.models import CopyOrder
from copytrade.replication import changing, waiting
from copytrade.replication.changing import NEWEST_SECONDS
from copytrade.replication.folding import Folds
from copytrade.replication.waiting import TOGETHER_WITHIN
from risk.models import GateCheck, Order, RiskRule
from risk.orders.drafts import new_tag
from tradeguard.tests.copying_deaths import Killed, LostFence, after_writing, dying
from tradeguard.tests.copying_stage import Desk, crowd, desk_of, follows, move_stops, replicator_of
from tradeguard.tests.enforcement_stage import pass_time, rule_on, terminal_of, trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def desk(stage: Stage, alice: User) -> Desk:
    return desk_of(stage, alice, 4)


@pytest.fixture
def parts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many changes left together each time."""
    sent: list[int] = []
    submit_many = stage.server.submit_many

    def noted(method: str, calls: Any) -> Any:
        changes = [call for call in calls if call[1]["action"] == 6]
        sent.extend([len(changes)] if changes else [])
        return submit_many(method, calls)

    monkeypatch.setattr(stage.server, "submit_many", noted)
    return sent


def opened(stage: Stage, desk: Desk, **levels: Any) -> int:
    """Let the provider open, and wait until every reading shows all copies."""
    stage.run(5)
    ticket = trade(stage, desk[0], 1.0, **levels)
    stage.run(10)
    return ticket


def stops(stage: Stage, followers: list[ConnectedAccount]) -> list[tuple[float, float]]:
    return [
        (one.stop_loss, one.take_profit)
        for each in followers
        for one in terminal_of(stage, each).positions()
    ]


def changes() -> Any:
    return Order.objects.filter(kind=Order.Kind.MODIFY_POSITION)


def test_moved_stops_leave_together(stage: Stage, desk: Desk, parts: list[int]) -> None:
    ticket = opened(stage, desk)
    for number, loss in enumerate((1.08, 1.09), 1):
        move_stops(stage, desk[0], ticket, loss, 1.12)
        stage.run(2)
        assert parts == [4] * number
        assert stops(stage, desk[1]) == [(loss, 1.12)] * 4
    stage.run(5)
    assert set(changes().values_list("state", "attempts", "message")) == {("filled", 1, "Done.")}
    for order in changes():
        check = GateCheck.objects.get(order_id=order.pk)
        assert (check.check_name, check.verdict) == ("tighter_stop", "allow")
        copy = CopyOrder.objects.get(order_id=order.pk)
        assert copy.state == "done"
        assert copy.gated_at == order.gated_at is not None


def test_a_level_of_its_own_stays(stage: Stage, alice: User, parts: list[int]) -> None:
    provider = stage.open(alice, "Provider")
    followers = crowd(stage, alice, 4)
    for each in followers:
        follows(provider, each, take_profit_points=500)
    ticket = opened(stage, (provider, followers))
    for number, loss in enumerate((1.08, 1.09), 1):
        move_stops(stage, provider, ticket, loss, 1.12)
        stage.run(12)
        assert sum(parts) == 4 * number
        assert stops(stage, followers) == [(loss, 1.10502)] * 4
    assert set(changes().values_list("take_profit", flat=True)) == {1.10502}


def test_a_level_that_may_just_have_been_moved_is_read_again(
    stage: Stage, alice: User, parts: list[int]
) -> None:
    provider = stage.open(alice, "Provider")
    followers = crowd(stage, alice, 4)
    for each in followers:
        follows(provider, each, take_profit_points=500)
    ticket = opened(stage, (provider, followers))
    move_stops(stage, provider, ticket, 1.08, 1.12)
    stage.run(2)
    assert parts == [4]
    move_stops(stage, provider, ticket, 1.09, 1.12)
    stage.run(8)
    assert parts == [4]
    assert stops(stage, followers) == [(1.09, 1.10502)] * 4


def test_what_loosens_is_asked_of_the_gate(stage: Stage, desk: Desk, parts: list[int]) -> None:
    provider, followers = desk
    ticket = opened(stage, desk, sl=1.09)
    block = {"action": RiskRule.Action.BLOCK, "name": "Stops"}
    rule_on(followers[0], RiskRule.Type.STOP_LOSS_REQUIRED, "5", **block)
    rule_on(
        followers[1],
        RiskRule.Type.STOP_LOSS_REQUIRED,
        "5",
        action=RiskRule.Action.ALERT,
        name="Alert",
    )
    stage.run(10)

    move_stops(stage, provider, ticket, 0.0, 1.12)
    stage.run(5)

    assert parts == [3]
    assert stops(stage, followers) == [(1.09, 0.0), *[(0.0, 1.12)] * 3]
    told = dict(changes().values_list("account_id", "message"))
    assert [told[each.pk] for each in followers] == [
        "Stops: the stop loss can be moved, and not be removed.",
        "Done. Alert: the stop loss can be moved, and not be removed.",
        "Done.",
        "Done.",
    ]
    assert GateCheck.objects.filter(order_id__in=changes().values("pk")).count() == 4


def test_an_older_change_is_never_sent_after_a_newer_one(
    stage: Stage, desk: Desk, parts: list[int]
) -> None:
    provider, followers = desk
    ticket = opened(stage, desk)
    first = followers[0]
    older = Order.objects.create(
        tag=new_tag(), user_id=first.user_id, account_id=first.pk, account_name=first.name,
        server=first.server, login=first.login, host="local", kind=Order.Kind.MODIFY_POSITION,
        origin=Order.Origin.TICKET, symbol="EURUSD", stop_loss=1.07, created_at=stage.now,
        position_ticket=terminal_of(stage, first).positions()[0].ticket,
        next_attempt_at=stage.now + timedelta(seconds=60),
    )  # fmt: skip
    move_stops(stage, provider, ticket, 1.09, 1.12)
    stage.run(20)
    assert parts == [3]
    assert stops(stage, followers) == [(0.0, 0.0), *[(1.09, 1.12)] * 3]
    Order.objects.filter(pk=older.pk).update(next_attempt_at=stage.now)
    stage.run(5)
    assert stops(stage, followers) == [(1.09, 1.12)] * 4
    assert set(changes().values_list("state", flat=True)) == {"filled"}


def test_a_position_that_is_gone_since_it_was_read_is_told(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    ticket = opened(stage, desk)
    mine = terminal_of(stage, followers[0]).positions()[0].ticket
    with monkeypatch.context() as patch:
        after_writing(patch, lambda: trade(stage, followers[0], -1.0, position=mine))
        move_stops(stage, provider, ticket, 1.09, 1.12)
        stage.run(1)
    stage.run(8)
    assert stops(stage, followers) == [(1.09, 1.12)] * 3
    order = changes().get(account_id=followers[0].pk)
    assert (order.state, order.message) == ("rejected", "There is no such position any more.")
    assert CopyOrder.objects.get(order_id=order.pk).state == "failed"


def test_who_lost_the_host_while_writing_moves_nothing(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    ticket = opened(stage, desk)
    one = replicator_of(stage)
    with monkeypatch.context() as patch:
        after_writing(patch, lambda: patch.setattr(one.hand_over, "_fence", LostFence()))
        move_stops(stage, provider, ticket, 1.09, 1.12)
        stage.run(1)
        assert stops(stage, followers) == [(0.0, 0.0)] * 4
        assert set(changes().values_list("state", flat=True)) == {"pending"}
    stage.run(8)
    assert stops(stage, followers) == [(1.09, 1.12)] * 4


@pytest.mark.parametrize("fault", [FaultKind.TIMEOUT_AFTER, FaultKind.TIMEOUT_BEFORE])
def test_a_lost_answer_is_found_out(stage: Stage, desk: Desk, fault: FaultKind) -> None:
    provider, followers = desk
    ticket = opened(stage, desk)
    stage.server.set_fault(followers[0].login, fault, once=True)
    move_stops(stage, provider, ticket, 1.09, 1.12)
    pass_time(stage, 80)
    assert stops(stage, followers) == [(1.09, 1.12)] * 4
    assert changes().count() == 4 + (fault is FaultKind.TIMEOUT_BEFORE)


@pytest.mark.parametrize("sent", [0, 2, 3])
@pytest.mark.parametrize("is_sent", [False, True])
def test_a_death_while_they_leave_loses_no_change(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, sent: int, is_sent: bool
) -> None:
    provider, followers = desk
    ticket = opened(stage, desk)
    with monkeypatch.context() as patch:
        work = dying(stage.server.submit, after=sent, is_done=is_sent)
        patch.setattr(stage.server, "submit", work)
        move_stops(stage, provider, ticket, 1.09, 1.12)
        with pytest.raises(Killed):
            stage.run(3)
        stage.kill_worker()
    stage.run(25, seconds=1.0)
    assert stops(stage, followers) == [(1.09, 1.12)] * 4
    # Whose changes had not left has a second one.
    states = sorted(changes().values_list("state", flat=True))
    missing = 4 - sent - is_sent
    assert states == ["filled"] * 4 + ["not_executed"] * missing
    moved = CopyOrder.objects.filter(order_id__in=changes().values("pk"))
    assert [row.state for row in moved] == ["done"] * 4


@pytest.mark.parametrize("is_done", [False, True])
def test_a_death_around_the_writing_loses_no_change(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    provider, followers = desk
    ticket = opened(stage, desk)
    with monkeypatch.context() as patch:
        patch.setattr(Folds, "write", dying(Folds.write, is_done=is_done))
        move_stops(stage, provider, ticket, 1.09, 1.12)
        with pytest.raises(Killed):
            stage.run(3)
        stage.kill_worker()
    stage.run(25, seconds=1.0)
    assert stops(stage, followers) == [(1.09, 1.12)] * 4


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FEWEST", 4)


@pytest.mark.usefixtures("together")
def test_they_wait_for_the_next_reading_and_leave_together(
    stage: Stage, desk: Desk, parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    ticket = opened(stage, desk)
    monkeypatch.setattr(changing, "NEWEST_SECONDS", -1.0)
    move_stops(stage, provider, ticket, 1.09, 1.12)
    stage.run(2)
    noticed = stage.now
    assert set(changes().values_list("state", flat=True)) == {"pending"}
    for again_at in changes().values_list("next_attempt_at", flat=True):
        assert noticed < again_at <= noticed + TOGETHER_WITHIN
    assert stage.tick is not None
    assert stage.tick.acting is not None
    copying = stage.tick.acting.copying
    copying._take_arrivals()
    assert parts == []
    assert replicator_of(stage).waiting.read()
    assert not replicator_of(stage).waiting.read()
    assert None not in changes().values_list("next_attempt_at", flat=True)
    monkeypatch.setattr(changing, "NEWEST_SECONDS", NEWEST_SECONDS)
    copying._take_arrivals()
    assert parts == [4]
    assert not replicator_of(stage).waiting.read()
    stage.run(3)
    assert stops(stage, followers) == [(1.09, 1.12)] * 4
    assert set(changes().values_list("state", "attempts")) == {("filled", 1)}


@pytest.mark.usefixtures("together")
def test_the_lanes_send_what_no_reading_shows_in_time(
    stage: Stage, desk: Desk, parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    ticket = opened(stage, desk)
    monkeypatch.setattr(changing, "NEWEST_SECONDS", -1.0)
    move_stops(stage, provider, ticket, 1.09, 1.12)
    stage.run(15)
    assert parts == []
    assert stops(stage, followers) == [(1.09, 1.12)] * 4
    assert not changes().exclude(state=Order.State.FILLED).exists()

"""Copies are written ahead of their sending: what a crash leaves between the two, and a failure."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError

from accounts.models import User
from accounts.refusals import Refusal
from accounts.services.accounts import delete_account
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.core.kinds import EventKind
from copytrade.keeping.outcomes import settle
from copytrade.keeping.slippage import Slippages
from copytrade.models import CopyBatch, CopyEvent, CopyOrder, CopyPosition, CopyRelationship
from copytrade.replication import folding, replicator, unfolding
from copytrade.replication.folding import KEPT, Folds
from copytrade.replication.ids import Ids
from copytrade.services.states import terminate
from risk.ledger import host_ledger
from risk.models import Order
from tradeguard.tests.copying_deaths import die, dying
from tradeguard.tests.copying_stage import (
    Desk,
    close,
    copy,
    desk_of,
    event_of,
    held,
    without_keeper,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE = Decimal("1.00")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(replicator, "BATCH", 2)
    monkeypatch.setattr(folding, "TOGETHER", 1)
    with staged() as stage:
        yield stage


@pytest.fixture
def desk(stage: Stage, alice: User) -> Desk:
    """Return a provider and four followers, two batches, whose sessions are connected."""
    return desk_of(stage, alice, 4)


def states() -> list[str]:
    return sorted(row.state for row in CopyOrder.objects.all())


def is_all_unfolded() -> bool:
    rows = CopyBatch.objects.all()
    return all(row.unfolded_at is not None and bytes(row.payload) == b"" for row in rows)


def failing(work: Callable[..., Any], times: int) -> Callable[..., Any]:
    """Return work for which the database is away that many times."""
    left = [times]

    def maybe(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise OperationalError("the database is away")
        return work(*arguments, **named)

    return maybe


def test_what_was_written_and_never_left_is_found_out_about(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    with monkeypatch.context() as patch:
        patch.setattr(Folds, "write", dying(Folds.write))
        ticket = stage.buy(provider, 1.0)
        die(stage)
    assert CopyOrder.objects.count() == Order.objects.count() == 0
    assert CopyBatch.objects.filter(unfolded_at=None).count() == 2
    stage.run(20, seconds=1.0)

    # An open that may have left is not sent again: it would be a double if it had.
    assert held(stage, followers) == [[]] * 4
    assert states() == ["failed"] * 4
    assert set(Order.objects.values_list("state", flat=True)) == {"not_executed"}
    assert is_all_unfolded()

    close(stage, provider, ticket)
    stage.run(5)
    assert states() == ["failed"] * 4 + ["skipped"] * 4


def test_closes_that_never_left_are_sent_again(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    ticket = stage.buy(provider, 1.0)
    stage.run(5)
    with monkeypatch.context() as patch:
        patch.setattr(Folds, "write", dying(Folds.write))
        close(stage, provider, ticket)
        die(stage)
    assert held(stage, followers) == [[ONE]] * 4
    stage.run(20, seconds=1.0)

    assert held(stage, followers) == [[]] * 4
    assert states() == ["done"] * 8
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}


PLACES = [
    (Folds, "unfold", 0, False),  # all has left, nothing is unfolded
    (folding, "insert", 0, True),  # one of two batches is
    (unfolding, "insert_columns", 1, True),  # in the middle of a batch
    (unfolding, "insert_columns", 3, True),
    (Folds, "unfold", 0, True),  # no answer is written
]


@pytest.mark.parametrize(("module", "name", "after", "is_done"), PLACES)
def test_what_has_left_is_unfolded_by_the_next_worker(
    stage: Stage,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    after: int,
    is_done: bool,
) -> None:
    provider, followers = desk
    with monkeypatch.context() as patch:
        patch.setattr(module, name, dying(getattr(module, name), after=after, is_done=is_done))
        ticket = stage.buy(provider, 1.0)
        die(stage)
    stage.run(12, seconds=1.0)
    assert held(stage, followers) == [[ONE]] * 4
    assert states() == ["done"] * 4
    assert is_all_unfolded()

    with monkeypatch.context() as patch:
        patch.setattr(module, name, dying(getattr(module, name), after=after, is_done=is_done))
        close(stage, provider, ticket)
        die(stage)
    stage.run(12, seconds=1.0)
    assert held(stage, followers) == [[]] * 4
    assert states() == ["done"] * 8
    # What a reading showed closed before the rows said so was not closed by the followers.
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}
    assert CopyEvent.objects.filter(planned_at=None).count() == 0


@pytest.mark.parametrize("is_journalled", [False, True])
def test_answers_are_kept_while_nothing_can_be_unfolded(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, is_journalled: bool
) -> None:
    provider, followers = desk
    with monkeypatch.context() as patch:
        patch.setattr(folding, "insert", failing(unfolding.insert, 10))
        if is_journalled:
            patch.setattr(host_ledger, "_apply", failing(host_ledger._apply, 1))
        ticket = stage.buy(provider, 1.0)
        stage.run(1)
        assert CopyOrder.objects.count() == 0
        # Their lanes may act: what was sent, and how it ended, is written.
        if not is_journalled:
            assert set(Order.objects.values_list("state", flat=True)) == {"filled"}
        stage.run(14, seconds=1.0)

    assert held(stage, followers) == [[ONE]] * 4
    assert states() == ["done"] * 4
    assert set(Order.objects.values_list("state", "attempts")) == {("filled", 1)}
    with monkeypatch.context() as patch:
        patch.setattr(folding, "insert", failing(unfolding.insert, 10))
        close(stage, provider, ticket)
        stage.run(14, seconds=1.0)
    assert held(stage, followers) == [[]] * 4
    assert states() == ["done"] * 8
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}
    assert is_all_unfolded()


def test_the_next_event_sees_what_the_one_before_has_sent(stage: Stage, desk: Desk) -> None:
    provider, followers = desk
    soon = stage.now + timedelta(milliseconds=20)
    closed = {"volume": ONE, "volume_before": ONE, "happened_at": soon, "detected_at": soon}
    copy(
        stage,
        event_of(stage, provider, EventKind.OPEN, 77),
        event_of(stage, provider, EventKind.CLOSE, 77, **closed),
    )
    assert CopyOrder.objects.count() == 8
    stage.run(12, seconds=1.0)
    assert held(stage, followers) == [[]] * 4
    assert states() == ["done"] * 8


def test_an_open_is_filled_while_its_close_is_unfolded(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    assert stage.tick is not None
    assert stage.tick.acting is not None
    keeper = stage.tick.acting.keeper
    without_keeper(stage)
    ticket = stage.buy(provider, 1.0)
    stage.run(2)
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"opening"}
    unfold = Folds.unfold

    def crossed(folds: Folds, records: Any) -> None:
        filled = list(Order.objects.values_list("pk", flat=True))
        settle(filled, stage.now, slippages=Slippages(stage.server), tickets={})
        unfold(folds, records)

    stage.server.set_fault(followers[0].login, FaultKind.REJECT)
    with monkeypatch.context() as patch:
        patch.setattr(Folds, "unfold", crossed)
        close(stage, provider, ticket)
        stage.run(2)
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closing"}
    stage.tick.acting.keeper = keeper
    stage.run(3, seconds=1.0)
    stage.server.clear_faults()
    stage.run(10, seconds=1.0)

    # Nothing is lost where the broker refuses the close first.
    assert held(stage, followers) == [[]] * 4
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}
    assert states() == ["done"] * 8


@pytest.mark.parametrize("moment", ["write", "unfold"])
def test_who_wants_all_closed_keeps_nothing_that_was_under_way(
    stage: Stage, desk: Desk, alice: User, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    provider, followers = desk
    work = getattr(Folds, moment)

    def ended(folds: Folds, *arguments: Any) -> Any:
        for row in CopyRelationship.objects.exclude(state="terminated"):
            terminate(relationship=row, actor=alice, now=stage.now, ending="close_now")
        return work(folds, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Folds, moment, ended)
        stage.buy(provider, 1.0)
        stage.run(2)
    stage.run(10, seconds=1.0)
    assert held(stage, followers) == [[]] * 4
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}
    assert set(CopyRelationship.objects.values_list("state", flat=True)) == {"terminated"}


def test_of_two_workers_one_writes_and_sends(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    monkeypatch.setattr(replicator, "WAVE", 2)
    write = Folds.write
    calls: list[int] = []

    def second(folds: Folds, event: CopyEvent, number: int, batches: Any) -> Any:
        calls.append(number)
        if len(calls) == 1:
            # Somebody else has come as far as here, and stands still.
            CopyBatch.objects.create(
                id=Ids().new_id(),
                event_id=event.pk,
                provider_id=event.provider_id,
                host="local",
                number=number,
                created_at=stage.now,
                unfolded_at=stage.now,
            )
        return write(folds, event, number, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Folds, "write", second)
        stage.buy(provider, 1.0)
        stage.run(1)
        # After the first failure the others of the event are not sent either.
        assert calls == [0]
        assert held(stage, followers) == [[]] * 4
        assert Order.objects.count() == 0
        stage.run(5, seconds=1.0)
    assert held(stage, followers) == [[ONE]] * 4
    assert states() == ["done"] * 4
    assert calls[1:] == [1, 2]


def test_a_number_is_taken_once(stage: Stage, desk: Desk) -> None:
    provider, _ = desk
    event = event_of(stage, provider, EventKind.OPEN, 5)
    folds = [Folds(host, lambda: stage.now) for host in ("local", "far")]
    assert [each.begin(event) for each in folds] == [0, 0]
    folds[0].take_number(event, 0)
    with pytest.raises(IntegrityError):
        folds[1].take_number(event, 0)


def test_a_batch_is_unfolded_once(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, _ = desk
    with monkeypatch.context() as patch:
        patch.setattr(Folds, "unfold", dying(Folds.unfold, is_done=False))
        stage.buy(provider, 1.0)
        die(stage)
    # A worker of another host that the provider has moved to finds it as well.
    folds = [Folds(host, lambda: stage.now) for host in ("local", "far")]
    event = CopyEvent.objects.get()
    assert folds[1].begin(event) == 2
    assert CopyOrder.objects.count() == Order.objects.count() == CopyPosition.objects.count() == 4
    folds[0].unfold_left()
    assert CopyOrder.objects.count() == 4


def test_a_follower_that_was_deleted_in_between_ends(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, alice: User
) -> None:
    provider, followers = desk
    with monkeypatch.context() as patch:
        patch.setattr(Folds, "unfold", dying(Folds.unfold, is_done=False))
        stage.buy(provider, 1.0)
        die(stage)
    with pytest.raises(Refusal, match="end the relationships first"):
        delete_account(account=followers[0], now=stage.now)
    row = CopyRelationship.objects.get(follower=followers[0])
    terminate(relationship=row, actor=alice, now=stage.now)
    delete_account(account=followers[0], now=stage.now)
    stage.run(150, seconds=1.0)

    gone = CopyOrder.objects.get(follower_id=followers[0].pk)
    assert gone.state == "failed"
    assert gone.sentence
    assert CopyPosition.objects.get(follower_id=followers[0].pk).state == "kept"
    assert states() == ["done"] * 3 + ["failed"]


def test_old_batches_are_forgotten(stage: Stage, desk: Desk) -> None:
    provider, _ = desk
    stage.buy(provider, 1.0)
    stage.run(5)
    assert CopyBatch.objects.count() == 2
    Folds("local", lambda: stage.now + KEPT - timedelta(seconds=60)).look()
    assert CopyBatch.objects.count() == 2
    Folds("local", lambda: stage.now + KEPT + timedelta(seconds=60)).look()
    assert CopyBatch.objects.count() == 0


class Later(Executor):
    """Leaves its jobs for later."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], object]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        answer: Future[Any] = Future()

        def run() -> None:
            try:
                answer.set_result(fn(*args, **kwargs))
            except Exception as error:
                answer.set_exception(error)

        self.jobs.append(run)
        return answer


def may_be_left(stage: Stage) -> bool:
    assert stage.tick is not None
    assert stage.tick.acting is not None
    return stage.tick.acting.copying._folds.may_be_left


@pytest.mark.parametrize("fails", [False, True])
def test_it_goes_on_while_unfolding_takes_long(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    provider, followers = desk
    assert stage.tick is not None
    assert stage.tick.acting is not None
    copying = stage.tick.acting.copying
    later = Later()
    monkeypatch.setattr(copying._replicator, "_writer", later)
    monkeypatch.setattr(replicator, "UNFOLDING_SECONDS", 0.0)
    # Nobody else makes rows of what was sent meanwhile.
    answered = copying._collector.flush
    monkeypatch.setattr(copying._collector, "flush", lambda: None)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    assert CopyOrder.objects.count() == 0
    assert held(stage, followers) == [[ONE]] * 4
    with copying.standing_still():
        assert CopyOrder.objects.count() == 4

    soon = stage.now + timedelta(milliseconds=20)
    closed = {"volume": ONE, "volume_before": ONE, "happened_at": soon, "detected_at": soon}
    copy(stage, event_of(stage, provider, EventKind.OPEN, 78))
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77, **closed))
    assert CopyOrder.objects.count() == 8
    assert may_be_left(stage)
    with monkeypatch.context() as patch:
        patch.setattr(folding, "insert", failing(unfolding.insert, 9 * fails))
        for job in later.jobs:
            job()
    assert may_be_left(stage)
    monkeypatch.setattr(copying._collector, "flush", answered)
    answered()
    stage.run(14, seconds=1.0)
    assert not may_be_left(stage)
    assert is_all_unfolded()
    assert held(stage, followers) == [[ONE]] * 4
    assert states() == ["done"] * 12

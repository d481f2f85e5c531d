"""The desk beside the tick: threads, a database and a Redis that are away, and its runs."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from redis import RedisError

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind, FaultSpec
from risk.ledger import host_ledger
from risk.models import Enforcement, Order
from risk.orders.desk import LONGEST_CLAIM_SECONDS, HostDesk, wake_desks
from risk.orders.drafts import draft_cancel, draft_close, draft_close_by
from risk.orders.lane import Lane
from risk.orders.pool import LanePool
from risk.orders.view import HostView
from risk.services import orders as services
from risk.tests.order_stage import HOST, OrderStage, order_stage

pytestmark = pytest.mark.django_db(transaction=True)
State = Order.State
SECONDS = 10.0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[OrderStage]:
    with order_stage(tmp_path) as stage:
        yield stage


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("It did not come about in time.")


class ClosingRuns:
    """An enforcer with one run that closes every position of its account, one per step."""

    def __init__(self, account: ConnectedAccount) -> None:
        self.run = Enforcement(
            id=uuid4(), user_id=account.user_id, account_id=account.pk, host=HOST, reason="Test."
        )
        self.steps: list[list[Order]] = []
        self.views = 0
        self.failures = 0

    def note(self, view: HostView) -> None:
        del view

    def take(self, view: HostView) -> None:
        del view
        self.views += 1

    def running(self) -> Sequence[Enforcement]:
        return [] if self.run.finished_at else [self.run]

    def step(self, lane: Lane, run: Enforcement, view: HostView) -> float | None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("a step fails")
        now = view.poll.now
        positions = lane.terminal.positions()
        if not positions:
            run.finished_at = now
            return None
        drafts = [
            draft_close(lane.account, each, origin="rule", enforcement_id=run.id, now=now)
            for each in positions
        ]
        self.steps.append(lane.carry_out(drafts))
        return 0.0


def test_it_carries_a_run_on_until_it_is_over(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    stage.position(account, 0.10)
    stage.position(account, 0.20)
    runs = ClosingRuns(account)
    stage.kill_worker()
    stage.enforcer = runs
    stage.run(4)
    assert stage.held(account) == []
    (closes,) = runs.steps
    assert [order.state for order in closes] == [State.FILLED, State.FILLED]
    stored = Order.objects.filter(enforcement_id=runs.run.pk)
    assert {order.state for order in stored} == {State.FILLED}
    assert {order.host for order in stored} == {HOST}


def test_a_step_that_fails_is_done_again(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    stage.position(account)
    runs = ClosingRuns(account)
    runs.failures = 2
    stage.kill_worker()
    stage.enforcer = runs
    stage.run(16)
    assert stage.held(account) == []


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        (FaultKind.TIMEOUT_AFTER, {}),
        (FaultKind.TIMEOUT_BEFORE, {}),
        (FaultKind.REQUOTE, {}),
        (FaultKind.REJECT, {}),
        (FaultKind.PARTIAL_FILL, {"fraction": 0.5}),
        (FaultKind.DISCONNECT_TERMINAL, {}),
    ],
)
def test_a_run_ends_flat_and_closes_nothing_twice(
    stage: OrderStage, alice: User, kind: FaultKind, details: dict[str, Any]
) -> None:
    account = stage.connect(alice)
    stage.position(account, 0.10)
    stage.position(account, 0.20)
    stage.server.script_faults(
        account.login, [FaultSpec(kind=kind, calls=("order_send",), times=2, **details)]
    )
    stage.kill_worker()
    stage.enforcer = ClosingRuns(account)
    stage.run(60)
    assert stage.held(account) == []
    closing = [deal for deal in stage.terminal(account).history_deals(0, 2**31) if deal.entry == 1]
    assert sum(deal.volume for deal in closing) == Decimal("0.30")
    assert not Order.objects.unfinished().exists()


def test_closes_go_on_without_the_database_and_are_written_later(
    stage: OrderStage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = stage.connect(alice)
    stage.position(account)
    runs = ClosingRuns(account)
    stage.kill_worker()
    stage.enforcer = runs
    with monkeypatch.context() as patch:
        patch.setattr(host_ledger, "_apply", _refuse)
        patch.setattr(host_ledger, "_apply_again", _refuse)
        stage.run(4)
        assert stage.held(account) == []
        assert not Order.objects.exists()
        stage.kill_worker()
    runs.run.finished_at = stage.now
    stage.run(1)  # another worker imports what this one has left
    order = Order.objects.get()
    assert (order.state, order.filled_volume) == (State.FILLED, Decimal("0.10"))
    assert not (stage.folder / "journal.jsonl").exists()


def test_opens_wait_while_the_database_is_away(
    stage: OrderStage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = stage.connect(alice)
    order = stage.buy(account)
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "_locks", _refuse)
        stage.run(3)
        assert stage.held(account) == []
        order.refresh_from_db()
        assert order.state == State.PENDING
    assert stage.ended(order).state == State.FILLED


def test_locks_that_cannot_be_read_right_before_sending_hold_an_open_back(
    stage: OrderStage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = stage.connect(alice)
    order = stage.buy(account)
    patch = pytest.MonkeyPatch()
    stage.checkpoint_once("written", lambda: patch.setattr(Lane, "_locks", _refuse))
    try:
        assert stage.ended(order).state == State.PENDING
    finally:
        patch.undo()
    assert stage.held(account) == []
    assert stage.ended(order).state == State.FILLED


def test_an_outcome_that_could_not_be_written_is_not_sent_again(
    stage: OrderStage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = stage.connect(alice)
    order = stage.buy(account)
    with monkeypatch.context() as patch:
        patch.setattr(host_ledger, "_apply", _refuse)
        patch.setattr(host_ledger, "_apply_again", _refuse)
        stage.run(3)
        order.refresh_from_db()
        assert order.state == State.SENT
        stage.kill_worker()
    order = stage.ended(order, 10)
    assert order.state == State.FILLED
    assert len(stage.held(account)) == 1


def test_it_needs_no_redis(stage: OrderStage, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    account = stage.connect(alice)

    def away() -> None:
        raise RedisError("away")

    monkeypatch.setattr("accounts.market_terms.redis_client", away)
    order = stage.buy(account)
    assert stage.ended(order, 10).state == State.FILLED


def test_a_lane_follows_its_accounts_new_login(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    stage.ended(stage.buy(account))
    desk = stage.desk
    assert desk is not None
    before = desk._lanes[account.pk]
    ConnectedAccount.objects.filter(pk=account.pk).update(name="Renamed", updated_at=stage.now)
    stage.run(10)
    stage.ended(stage.buy(account))
    assert desk._lanes[account.pk] is not before


def test_the_tick_never_waits_for_a_lane(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    released, reached = threading.Event(), threading.Event()

    class Holding(ClosingRuns):
        def step(self, lane: Lane, run: Enforcement, view: HostView) -> float | None:
            del lane, run, view
            reached.set()
            released.wait(SECONDS)
            self.run.finished_at = stage.now
            return None

    runs = Holding(account)
    desk = HostDesk(
        HOST, stage.server, stage.fence, enforcer=runs, gate=stage.gate, ledger=stage.ledger
    )
    # Orders are the database's, which lives in this thread's memory alone.
    desk._accounts_with_orders = set  # type: ignore[method-assign]
    assert stage.desk is not None
    view = stage.desk._newest_view()
    try:
        desk.take(view.poll, view.assessment)
        assert reached.wait(SECONDS)
        for _ in range(3):
            desk.take(view.poll, view.assessment)  # returns although the lane hangs
        seen = runs.views
        wake_desks([HOST])
        wait_for(lambda: runs.views > seen)
        released.set()
        wait_for(lambda: runs.run.finished_at)
    finally:
        released.set()
        desk.close()
    assert not desk._thread.is_alive()


def test_a_pool_runs_jobs_side_by_side_and_ends_its_threads() -> None:
    begun: list[str] = []
    pool = LanePool("test", lambda: begun.append("begun"), most_threads=2, idle_seconds=0.05)
    barrier = threading.Barrier(2)
    done: list[int] = []

    def job(number: int) -> None:
        barrier.wait(SECONDS)
        done.append(number)

    for number in range(4):
        assert pool.submit(partial(job, number))
    wait_for(lambda: len(done) == 4)
    assert len(begun) == 2
    wait_for(lambda: not pool._threads)
    pool.submit(lambda: done.append(4))  # another thread is started for it
    wait_for(lambda: len(done) == 5)
    pool.close()
    assert not pool.submit(lambda: None)


def test_a_job_that_fails_ends_no_thread() -> None:
    pool = LanePool("test", idle_seconds=5.0, most_threads=1)
    done = threading.Event()

    def fail() -> None:
        raise RuntimeError("a job fails")

    pool.submit(fail)
    pool.submit(done.set)
    assert done.wait(SECONDS)
    pool.close()


def test_an_order_that_expired_meanwhile_is_not_sent(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    order = stage.buy(account)

    def expire() -> None:
        Order.objects.filter(pk=order.pk).update(state=State.EXPIRED)

    stage.checkpoint_once("gated", expire)
    assert stage.ended(order).state == State.EXPIRED
    assert stage.held(account) == []


def _refuse(*_arguments: Any, **_named: Any) -> Any:
    raise OperationalError("the database is away")


def test_the_services_answer_is_what_the_lane_wrote(stage: OrderStage, alice: User) -> None:
    account = stage.connect(alice)
    order = stage.buy(account)
    stage.run()
    assert services.await_outcome(order, timeout_seconds=0.0).state == State.FILLED


class CloseBys(ClosingRuns):
    """An enforcer that closes the first two positions by each other, and deletes what waits."""

    def step(self, lane: Lane, run: Enforcement, view: HostView) -> float | None:
        now = view.poll.now
        first, second = lane.terminal.positions()
        origin: dict[str, Any] = {"origin": "rule", "enforcement_id": run.id, "now": now}
        drafts = [draft_close_by(lane.account, first, second, **origin)]
        waiting = lane.terminal.pending_orders()
        drafts += [draft_cancel(lane.account, each, **origin) for each in waiting]
        self.steps.append(lane.carry_out(drafts))
        run.finished_at = now
        return None


@pytest.mark.parametrize("fault", [None, FaultKind.TIMEOUT_AFTER, FaultKind.TIMEOUT_BEFORE])
def test_opposite_positions_close_each_other_and_pendings_go(
    stage: OrderStage, alice: User, fault: FaultKind | None
) -> None:
    account = stage.connect(alice)
    stage.ended(stage.buy(account, type="limit", price=1.05))
    stage.position(account, 0.10, side=0)
    stage.position(account, 0.30, side=1)
    if fault is not None:
        spec = FaultSpec(kind=fault, calls=("order_send",), times=2)
        stage.server.script_faults(account.login, [spec])
    stage.kill_worker()
    stage.enforcer = CloseBys(account)
    stage.run(40)
    orders = Order.objects.exclude(enforcement_id=None).order_by("kind")
    wanted = State.NOT_EXECUTED if fault is FaultKind.TIMEOUT_BEFORE else State.FILLED
    assert [(order.kind, order.state) for order in orders] == [
        ("cancel", wanted),
        ("close_by", wanted),
    ]
    if fault is not FaultKind.TIMEOUT_BEFORE:
        assert orders[1].filled_volume == Decimal("0.10")
        assert [each.volume for each in stage.terminal(account).positions()] == [Decimal("0.20")]
        assert stage.waiting(account) == []


@pytest.mark.parametrize("fault", [FaultKind.TIMEOUT_AFTER, FaultKind.TIMEOUT_BEFORE])
def test_changes_without_an_answer_are_looked_for_where_they_show(
    stage: OrderStage, alice: User, fault: FaultKind
) -> None:
    account = stage.connect(alice)
    pending = stage.ended(stage.buy(account, type="limit", price=1.05)).order_ticket
    assert pending is not None
    position = stage.position(account)
    spec = FaultSpec(kind=fault, calls=("order_send",), times=2)
    stage.server.script_faults(account.login, [spec])
    asked: dict[str, Any] = {"account": account, "user": alice, "now": stage.now}
    changes = [
        services.modify_order(**asked, ticket=pending, price=1.04),
        services.modify_position(**asked, ticket=position, take_profit=1.2),
    ]
    stage.run(40)
    wanted = State.FILLED if fault is FaultKind.TIMEOUT_AFTER else State.NOT_EXECUTED
    for change in changes:
        change.refresh_from_db()
        assert (change.state, change.retcode) == (wanted, None)
        assert change.reconciled_at is not None


@pytest.mark.parametrize("fault", [FaultKind.TIMEOUT_AFTER, FaultKind.TIMEOUT_BEFORE])
def test_a_second_price_that_was_changed_alone_is_looked_for_as_well(
    stage: OrderStage, alice: User, fault: FaultKind
) -> None:
    account = stage.connect(alice)
    placed = stage.ended(stage.buy(account, type="stop_limit", price=1.12, stop_limit_price=1.11))
    stage.server.set_fault(account.login, fault, once=True)

    change = services.modify_order(
        account=account, user=alice, now=stage.now, ticket=placed.order_ticket or 0,
        stop_limit_price=1.115,
    )  # fmt: skip
    stage.run(40)

    change.refresh_from_db()
    [waiting] = stage.terminal(account).pending_orders()
    is_changed = fault is FaultKind.TIMEOUT_AFTER
    assert change.state == (State.FILLED if is_changed else State.NOT_EXECUTED)
    assert waiting.stop_limit_price == (1.115 if is_changed else 1.11)


def test_it_leaves_what_was_sent_to_many_at_once_to_whoever_claimed_the_accounts(
    stage: OrderStage, alice: User
) -> None:
    account = stage.connect(alice)
    desk = stage.desk
    assert desk is not None
    assert desk.claim([account.pk]) == {account.pk}
    order = stage.buy(account)
    Order.objects.filter(pk=order.pk).update(state=State.SENT, sent_at=stage.now)
    stage.run(3)
    assert account.pk not in desk._lanes
    has_more = desk._turns.release([account.pk])
    assert not has_more
    # Whoever claimed it did not write how it ended: its lane finds out.
    assert stage.ended(order, 50).state == State.NOT_EXECUTED


def test_what_waits_on_a_claimed_account_goes_on_once_it_is_free(
    stage: OrderStage, alice: User
) -> None:
    account = stage.connect(alice)
    desk = stage.desk
    assert desk is not None
    desk.claim([account.pk])
    order = stage.buy(account)
    stage.run(3)
    order.refresh_from_db()
    assert order.state == State.PENDING
    desk.release([account.pk])
    assert stage.ended(order).state == State.FILLED


def test_it_complains_once_a_while_of_accounts_that_nobody_gives_back(
    stage: OrderStage,
    alice: User,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = stage.connect(alice)
    desk = stage.desk
    assert desk is not None
    now = [1000.0]
    monkeypatch.setattr(desk, "_monotonic", lambda: now[0])
    desk.claim([account.pk])
    complaints = []
    for seconds in (LONGEST_CLAIM_SECONDS - 0.1, 0.1, 1.0, LONGEST_CLAIM_SECONDS - 1.0):
        now[0] += seconds
        desk._complain_of_claims()
        complaints.append(caplog.text.count("1 accounts of"))
    assert complaints == [0, 1, 1, 2]
    assert str(account.pk) in caplog.text
    desk.release([account.pk])
    now[0] += LONGEST_CLAIM_SECONDS
    desk._complain_of_claims()
    assert caplog.text.count("1 accounts of") == 2


def test_it_gives_out_only_accounts_that_are_watched(stage: OrderStage, alice: User) -> None:
    account, other = stage.connect(alice), uuid4()
    stage.run()
    desk = stage.desk
    assert desk is not None
    assert desk.claim({account.pk, other}) == {account.pk}
    assert desk.claim([account.pk, other]) == set()
    desk.release([account.pk])
    desk.claim({account.pk})
    second = stage.connect(alice)  # which loads what is watched anew
    assert desk.claim({account.pk, second.pk}) == {second.pk}

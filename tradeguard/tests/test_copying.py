"""What a provider does reaches its followers: once each, by the gate, and with a reason if not."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from accounts.models import User
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from risk.models import AccountLock, GateCheck, Order
from risk.selectors import checks_of
from tradeguard.tests.copying_stage import (
    copy,
    crowd,
    event_of,
    follows,
    held,
    link_positions,
    without_keeper,
)
from tradeguard.tests.enforcement_stage import rule_on
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


ONE = Decimal("1.00")


def test_it_copies_an_open_to_every_follower_at_once(stage: Stage, alice: User) -> None:
    provider = stage.open(alice, "Provider")
    followers = crowd(stage, alice, 3)
    for each in followers:
        follows(provider, each, multiplier=Decimal("0.5"))
    stage.run(3)
    event = event_of(stage, provider, EventKind.OPEN, 77)

    without_keeper(stage)
    copy(stage, event)

    assert held(stage, followers) == [[Decimal("0.50")]] * 3
    rows = list(CopyOrder.objects.all())
    assert {row.state for row in rows} == {CopyOrder.State.ORDERED}
    assert all(row.sent_at and row.gated_at and row.planned_at for row in rows)
    orders = list(Order.objects.filter(origin=Order.Origin.COPY))
    assert {order.state for order in orders} == {Order.State.FILLED}
    assert {order.pk for order in orders} == {row.order_id for row in rows}
    shown = checks_of(orders)
    assert {len(shown[order.pk]) for order in orders} == {12}
    assert {check.verdict for check in shown[orders[0].pk]} == {GateCheck.Verdict.ALLOW}
    assert not GateCheck.objects.exists()
    assert CopyPosition.objects.filter(provider_position=77, state="opening").count() == 3
    assert CopyEvent.objects.get().planned_at is not None


def test_it_copies_an_event_once_however_often_it_comes(stage: Stage, alice: User) -> None:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    follows(provider, follower)
    stage.run(3)
    event = event_of(stage, provider, EventKind.OPEN, 77)
    copy(stage, event)
    copy(stage, event, event)
    stage.run(10)
    assert held(stage, [follower]) == [[ONE]]
    assert Order.objects.count() == CopyOrder.objects.count() == 1


def test_it_goes_on_with_those_that_a_dead_worker_left_out(stage: Stage, alice: User) -> None:
    provider = stage.open(alice, "Provider")
    followers = crowd(stage, alice, 2)
    follows(provider, followers[0])
    stage.run(3)
    event = event_of(stage, provider, EventKind.OPEN, 77)
    copy(stage, event)
    follows(provider, followers[1])
    CopyEvent.objects.update(planned_at=None)
    stage.kill_worker()
    stage.run(40)
    assert held(stage, followers) == [[ONE], [ONE]]


def test_it_closes_what_the_followers_hold(stage: Stage, alice: User) -> None:
    provider = stage.open(alice, "Provider")
    followers = crowd(stage, alice, 2)
    for each in followers:
        follows(provider, each)
    stage.run(3)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    link_positions(stage, followers)
    stage.run(8)
    copy(stage, event_of(stage, provider, EventKind.PARTIAL_CLOSE, 77, volume=Decimal("0.25")))
    assert held(stage, followers) == [[Decimal("0.75")]] * 2
    CopyPosition.objects.update(volume=Decimal("0.75"))
    stage.run(8)
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77, volume=Decimal("0.75")))
    assert held(stage, followers) == [[], []]


def test_it_closes_through_the_lane_while_no_reading_shows_the_fill(
    stage: Stage, alice: User
) -> None:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    follows(provider, follower)
    stage.run(3)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    link_positions(stage, [follower])
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77))
    stage.run(2)
    assert held(stage, [follower]) == [[]]
    assert {order.state for order in Order.objects.all()} == {Order.State.FILLED}


def test_it_has_a_copy_closed_on_its_fill(stage: Stage, alice: User) -> None:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    follows(provider, follower)
    stage.run(3)
    without_keeper(stage)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    half = event_of(stage, provider, EventKind.PARTIAL_CLOSE, 77, volume=Decimal("0.50"))
    quarter = event_of(
        stage, provider, EventKind.PARTIAL_CLOSE, 77,
        volume=Decimal("0.25"), volume_before=Decimal("0.50"),
    )  # fmt: skip
    copy(stage, half, quarter)
    assert CopyPosition.objects.get().closes_fraction_on_fill == Decimal("0.75")
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77))
    assert CopyPosition.objects.get().closes_on_fill
    assert CopyOrder.objects.filter(state=CopyOrder.State.PLANNED).count() == 3


def test_it_says_why_a_follower_gets_no_order(stage: Stage, alice: User) -> None:
    provider, paused, locked = (stage.open(alice, name) for name in ("Provider", "P", "L"))
    follows(provider, paused, state="paused")
    follows(provider, locked)
    stage.run(3)
    AccountLock.objects.create(
        user_id=alice.pk, account_id=locked.pk, account_name="L", cause="rule",
        reason="Too much was lost.", locked_at=stage.now,
    )  # fmt: skip
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    rows = {row.follower_id: row for row in CopyOrder.objects.all()}
    assert rows[paused.pk].reason == SkipReason.PAUSED
    assert rows[locked.pk].reason == SkipReason.LOCKED
    assert all(row.sentence and row.state == "skipped" for row in rows.values())
    assert not Order.objects.exists()


def test_it_asks_the_gate_about_every_follower(stage: Stage, alice: User) -> None:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    follows(provider, follower)
    rule_on(follower, "MAX_POSITION_SIZE", "0.4", action="BLOCK")
    stage.run(3)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    assert held(stage, [follower]) == [[]]
    row = CopyOrder.objects.get()
    assert (row.state, row.reason) == (CopyOrder.State.FAILED, SkipReason.REFUSED)
    assert row.sentence
    order = Order.objects.get()
    assert order.state == Order.State.REJECTED
    checks = checks_of([order])[order.pk]
    blocking = [check.sentence for check in checks if check.verdict == GateCheck.Verdict.BLOCK]
    assert blocking == [row.sentence]
    assert not CopyPosition.objects.exists()


def test_it_leaves_what_is_in_doubt_to_the_lane(stage: Stage, alice: User) -> None:
    provider = stage.open(alice, "Provider")
    followers = crowd(stage, alice, 3)
    for each in followers:
        follows(provider, each)
    stage.run(3)
    stage.server.set_fault(followers[0].login, FaultKind.TIMEOUT_AFTER, once=True)
    stage.server.set_fault(followers[1].login, FaultKind.REQUOTE, once=True)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    states = {order.account_id: order.state for order in Order.objects.all()}
    assert [states[each.pk] for each in followers] == ["unknown", "pending", "filled"]
    stage.run(10)
    assert {order.state for order in Order.objects.all()} == {Order.State.FILLED}
    assert held(stage, followers) == [[ONE]] * 3


def test_it_sends_nothing_to_a_terminal_of_another_account(stage: Stage, alice: User) -> None:
    provider, follower, other = (stage.open(alice, name) for name in ("Provider", "F", "O"))
    follows(provider, follower)
    stage.run(3)
    stage.server.set_fault(follower.login, FaultKind.WRONG_ACCOUNT, peer=other.login)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    assert Order.objects.get().state == Order.State.PENDING
    stage.server.clear_faults()
    assert held(stage, [follower, other]) == [[], []]

"""How what was copied ends where its ordinary end does not come."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.core.kinds import EventKind
from copytrade.keeping.sweeping import NO_ACCOUNT, NO_ORDER, PATIENCE, end_abandoned
from copytrade.models import CopyOrder, CopyPosition, CopyRelationship
from copytrade.services.states import pause, terminate
from risk.models import Order
from tradeguard.tests.copying_stage import copy, event_of, follows, held
from tradeguard.tests.enforcement_stage import MARGIN_MODES, pass_time, pendings, place, terminal_of
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def pair(stage: Stage, user: User, **terms: object) -> tuple[ConnectedAccount, ConnectedAccount]:
    mode = MARGIN_MODES["hedging"]
    provider = stage.open(user, "Provider", margin_mode=mode)
    follower = stage.open(user, "Follower", margin_mode=mode)
    follows(provider, follower, **terms)
    pass_time(stage, 3)
    return provider, follower


def abandoned(stage: Stage, follower_id: uuid.UUID, age: timedelta, **fields: object) -> CopyOrder:
    return CopyOrder.objects.create(
        event_id=uuid.uuid4(),
        relationship_id=uuid.uuid4(),
        provider_id=uuid.uuid4(),
        follower_id=follower_id,
        planned_at=stage.now - age,
        **{"state": CopyOrder.State.ORDERED, "order_id": uuid.uuid4(), **fields},
    )


def test_a_refused_cancel_is_tried_again(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, copies_pendings=True)
    ticket = place(stage, provider, 1.0, 1.09500)
    pass_time(stage, 10)
    assert len(pendings(stage, follower)) == 1
    stage.server.set_fault(follower.login, FaultKind.REJECT)
    request = {"action": 8, "order": ticket}
    assert stage.server.call("order_send", provider.login, request)[0] == 10009
    pass_time(stage, 20)
    assert len(pendings(stage, follower)) == 1
    stage.server.clear_faults()
    pass_time(stage, 40)
    assert pendings(stage, follower) == []
    assert not Order.objects.unfinished().exists()


def test_a_pause_cancels_until_nothing_waits(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, copies_pendings=True)
    place(stage, provider, 1.0, 1.09500)
    pass_time(stage, 10)
    stage.server.set_fault(follower.login, FaultKind.REJECT)
    row = CopyRelationship.objects.get()
    pause(relationship=row, actor=alice, now=stage.now)
    pass_time(stage, 20)
    stage.server.clear_faults()
    pass_time(stage, 40)
    assert pendings(stage, follower) == []
    assert len(pendings(stage, provider)) == 1


def test_what_waits_for_its_price_is_left_alone(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, copies_pendings=True)
    place(stage, provider, 1.0, 1.09500)
    pass_time(stage, 60)
    assert len(pendings(stage, follower)) == 1
    assert not Order.objects.filter(kind=Order.Kind.CANCEL).exists()


def moved(stage: Stage, provider: ConnectedAccount, ticket: int, price: float) -> None:
    request = {"action": 7, "order": ticket, "price": price}
    assert stage.server.call("order_send", provider.login, request)[0] == 10009


@pytest.mark.parametrize("is_refused", [True, False])
def test_nothing_waits_at_a_price_of_before_once_the_provider_is_in(
    stage: Stage, alice: User, is_refused: bool
) -> None:
    provider, follower = pair(stage, alice, copies_pendings=True)
    ticket = place(stage, provider, 1.0, 1.09500)
    pass_time(stage, 10)
    moved(stage, provider, ticket, 1.09600)
    pass_time(stage, 10)
    if is_refused:
        stage.server.set_fault(follower.login, FaultKind.REJECT)
    moved(stage, provider, ticket, 1.09700)
    pass_time(stage, 10)
    stage.server.clear_faults()
    pass_time(stage, 20)
    # The provider's order is there: it may come to this price yet.
    (waiting,) = terminal_of(stage, follower).pending_orders()
    assert waiting.price_open == (1.09600 if is_refused else 1.09700)
    stage.server.set_prices("EURUSD", 1.09648, 1.09650)
    pass_time(stage, 20)
    assert held(stage, [provider]) == [[Decimal("1.00")]]
    assert pendings(stage, follower) == []
    assert held(stage, [follower]) == [[] if is_refused else [Decimal("1.00")]]


@pytest.mark.parametrize(
    ("age", "is_ended"),
    [(PATIENCE, False), (PATIENCE + timedelta(microseconds=1), True)],
)
def test_a_copy_without_an_account_ends(
    stage: Stage, alice: User, age: timedelta, is_ended: bool
) -> None:
    pass_time(stage)
    row = abandoned(stage, uuid.uuid4(), age)
    assert end_abandoned(stage.now) == is_ended
    row.refresh_from_db()
    assert (row.state == CopyOrder.State.FAILED) == is_ended
    assert row.sentence == (NO_ACCOUNT if is_ended else "")


def test_a_copy_without_its_order_ends(stage: Stage, alice: User) -> None:
    _, follower = pair(stage, alice)
    long_ago = PATIENCE * 2
    orderless = abandoned(stage, follower.pk, long_ago)
    eventless = abandoned(
        stage, follower.pk, long_ago, state=CopyOrder.State.PLANNED, order_id=None
    )
    assert end_abandoned(stage.now) == 2
    for row in (orderless, eventless):
        row.refresh_from_db()
        assert (row.state, row.sentence) == (CopyOrder.State.FAILED, NO_ORDER)
        assert row.ended_at == stage.now
    assert end_abandoned(stage.now) == 0


def test_positions_that_are_kept_are_nobodys_any_more(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    stage.server.set_fault(follower.login, FaultKind.TIMEOUT_AFTER, once=True)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    terminate(
        relationship=CopyRelationship.objects.get(), actor=alice, now=stage.now, ending="keep"
    )
    pass_time(stage, 30)
    # It was filled after copying had ended.
    assert held(stage, [follower]) == [[Decimal("1.00")]]
    assert CopyPosition.objects.get().state == CopyPosition.State.KEPT
    assert CopyOrder.objects.get().state == CopyOrder.State.DONE


def test_close_now_takes_what_is_filled_later(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    stage.server.set_fault(follower.login, FaultKind.TIMEOUT_AFTER, once=True)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    row = CopyRelationship.objects.get()
    terminate(relationship=row, actor=alice, now=stage.now, ending="close_now")
    assert row.state != CopyRelationship.State.TERMINATED
    pass_time(stage, 40)
    row.refresh_from_db()
    assert held(stage, [follower]) == [[]]
    assert row.state == CopyRelationship.State.TERMINATED
    assert CopyPosition.objects.get().state == CopyPosition.State.CLOSED

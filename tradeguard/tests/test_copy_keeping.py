"""What becomes of copies: fills, closes, and what followers do by themselves."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.keeping import adopting
from copytrade.models import CopyEvent, CopyOrder, CopyPosition, CopyRelationship
from copytrade.replication.folding import Folds
from copytrade.services.states import terminate
from risk.models import Order
from tradeguard.tests.copying_stage import copy, event_of, follows, held
from tradeguard.tests.enforcement_stage import (
    MARGIN_MODES,
    crash_price,
    pass_time,
    pendings,
    place,
    terminal_of,
    trade,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE = Decimal("1.00")
HALF = Decimal("0.50")
State = CopyPosition.State


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def pair(stage: Stage, user: User, **terms: object) -> tuple[ConnectedAccount, ConnectedAccount]:
    """Return a provider and a follower whose sessions are connected."""
    mode = MARGIN_MODES["hedging"]
    provider = stage.open(user, "Provider")
    follower = stage.open(user, "Follower", margin_mode=terms.pop("margin_mode", mode))
    follows(provider, follower, **terms)
    stage.run(3)
    return provider, follower


def close(stage: Stage, account: ConnectedAccount, ticket: int, lots: float) -> None:
    """Close by hand what was bought."""
    trade(stage, account, -lots, position=ticket)


def only() -> CopyPosition:
    return CopyPosition.objects.get()


def test_it_knows_what_an_open_became(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77, price=1.1))
    row, order = CopyOrder.objects.get(), Order.objects.get()
    assert (row.state, row.filled_volume) == (CopyOrder.State.DONE, ONE)
    assert None not in (row.answered_at, row.ended_at, row.sent_at)
    assert row.slippage_points == 2.0
    assert row.slippage_money == pytest.approx(2.0)
    position = only()
    assert (position.state, position.volume) == (State.OPEN, ONE)
    (there,) = terminal_of(stage, follower).positions()
    assert position.follower_position == there.ticket == order.order_ticket


def test_it_takes_in_an_outcome_once(stage: Stage, alice: User) -> None:
    provider, _ = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    assert stage.tick is not None
    assert stage.tick.acting is not None
    assert stage.tick.acting.keeper is not None
    stage.tick.acting.keeper.take(list(Order.objects.all()))
    stage.run(10)
    assert only().volume == ONE


def test_it_catches_up_after_a_restart(stage: Stage, alice: User) -> None:
    provider, _ = pair(stage, alice)
    assert stage.tick is not None
    assert stage.tick.acting is not None
    stage.tick.acting.keeper = None
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    assert only().state == State.OPENING
    stage.kill_worker()
    stage.run(10)
    assert only().state == State.OPEN
    assert CopyOrder.objects.get().state == CopyOrder.State.DONE


def test_it_learns_of_what_was_in_doubt(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    stage.server.set_fault(follower.login, FaultKind.TIMEOUT_AFTER, once=True)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    assert only().state == State.OPENING
    stage.run(10)
    assert held(stage, [follower]) == [[ONE]]
    assert (only().state, only().volume) == (State.OPEN, ONE)


def test_it_says_that_an_open_was_refused(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    stage.server.set_fault(follower.login, FaultKind.REJECT)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(5)
    row = CopyOrder.objects.get()
    assert row.state == CopyOrder.State.FAILED
    assert row.sentence
    assert only().state == State.CLOSED


def test_it_closes_in_parts_and_whole(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    copy(stage, event_of(stage, provider, EventKind.PARTIAL_CLOSE, 77, volume=HALF))
    stage.run(10)
    assert held(stage, [follower]) == [[HALF]]
    assert (only().state, only().volume) == (State.OPEN, HALF)
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77, volume=HALF, volume_before=HALF))
    stage.run(10)
    assert held(stage, [follower]) == [[]]
    assert (only().state, only().volume) == (State.CLOSED, Decimal(0))
    assert set(CopyOrder.objects.values_list("state", flat=True)) == {CopyOrder.State.DONE}


def test_it_closes_on_the_fill_what_was_closed_before(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    stage.server.set_fault(follower.login, FaultKind.TIMEOUT_AFTER, once=True)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    part = event_of(stage, provider, EventKind.PARTIAL_CLOSE, 77, volume=HALF)
    copy(stage, part)
    assert CopyOrder.objects.get(event_id=part.pk).state == CopyOrder.State.PLANNED
    stage.run(15)
    assert held(stage, [follower]) == [[HALF]]
    assert (only().state, only().volume) == (State.OPEN, HALF)
    assert only().closes_fraction_on_fill == 0


def test_it_closes_all_on_the_fill(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    stage.server.set_fault(follower.login, FaultKind.TIMEOUT_AFTER, once=True)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    copy(stage, event_of(stage, provider, EventKind.PARTIAL_CLOSE, 77, volume=HALF))
    left = event_of(stage, provider, EventKind.CLOSE, 77, volume=HALF, volume_before=HALF)
    copy(stage, left)
    stage.run(30)
    assert held(stage, [follower]) == [[]]
    assert only().state == State.CLOSED
    assert not CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()


def test_it_goes_on_until_a_refused_close_is_done(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    stage.server.set_fault(follower.login, FaultKind.REJECT)
    whole = event_of(stage, provider, EventKind.CLOSE, 77)
    copy(stage, whole)
    stage.run(30)
    row = CopyOrder.objects.get(event_id=whole.pk)
    assert (only().state, row.state) == (State.CLOSING, CopyOrder.State.ORDERED)
    stage.server.clear_faults()
    stage.run(40)
    assert held(stage, [follower]) == [[]]
    row.refresh_from_db()
    assert (only().state, row.state) == (State.CLOSED, CopyOrder.State.DONE)


def test_it_leaves_what_the_follower_closed(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    close(stage, follower, only().follower_position or 0, 1.0)
    stage.run(20)
    assert only().state == State.LEFT
    whole = event_of(stage, provider, EventKind.CLOSE, 77)
    copy(stage, whole)
    assert CopyOrder.objects.get(event_id=whole.pk).reason == SkipReason.LEFT
    assert held(stage, [follower]) == [[]]


def test_it_follows_what_the_follower_reduced(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    close(stage, follower, only().follower_position or 0, 0.6)
    stage.run(20)
    assert (only().state, only().volume) == (State.OPEN, Decimal("0.40"))
    copy(stage, event_of(stage, provider, EventKind.PARTIAL_CLOSE, 77, volume=HALF))
    stage.run(20)
    assert held(stage, [follower]) == [[Decimal("0.20")]]


@pytest.mark.parametrize("fault", [FaultKind.NONE, FaultKind.EMPTY, FaultKind.DISCONNECT_TERMINAL])
def test_it_believes_no_silence(stage: Stage, alice: User, fault: FaultKind) -> None:
    provider, follower = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    stage.server.set_fault(follower.login, fault)
    stage.run(30)
    assert (only().state, only().volume) == (State.OPEN, ONE)


def test_it_closes_now_when_it_is_told_to(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    row = CopyRelationship.objects.get()
    terminate(relationship=row, actor=alice, now=stage.now, ending="close_now")
    stage.run(20)
    row.refresh_from_db()
    assert held(stage, [follower]) == [[]]
    assert (only().state, row.state) == (State.CLOSED, CopyRelationship.State.TERMINATED)


def test_it_keeps_positions_or_waits_for_the_provider(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    row = CopyRelationship.objects.get()
    terminate(relationship=row, actor=alice, now=stage.now, ending="as_provider")
    stage.run(10)
    assert held(stage, [follower]) == [[ONE]]
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77))
    stage.run(10)
    row.refresh_from_db()
    assert (only().state, row.state) == (State.CLOSED, CopyRelationship.State.TERMINATED)


def test_it_heeds_the_equity_stop(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, equity_stop=Decimal("99500.00"))
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    assert CopyRelationship.objects.get().state == CopyRelationship.State.ACTIVE
    crash_price(stage)
    stage.run(20)
    row = CopyRelationship.objects.get()
    assert held(stage, [follower]) == [[]]
    assert (row.state, row.state_cause) == (
        CopyRelationship.State.PAUSED,
        CopyRelationship.Cause.EQUITY_STOP,
    )
    changed_at = row.state_changed_at
    stage.run(20)
    row.refresh_from_db()
    assert (row.state_changed_at, row.closing_since_at) == (changed_at, None)


def test_it_shares_a_netted_position(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, margin_mode=MARGIN_MODES["netting"])
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 78, volume=HALF))
    stage.run(10)
    assert held(stage, [follower]) == [[Decimal("1.50")]]
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77))
    stage.run(20)
    assert held(stage, [follower]) == [[HALF]]
    states = dict(CopyPosition.objects.values_list("provider_position", "state"))
    assert states == {77: State.CLOSED, 78: State.OPEN}


def test_it_gives_each_row_an_end(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    late = event_of(
        stage, provider, EventKind.OPEN, 78, happened_at=stage.now - timedelta(minutes=5)
    )
    copy(stage, late)
    stage.run(10)
    assert not CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()
    assert CopyEvent.objects.filter(planned_at=None).count() == 0
    assert held(stage, [follower]) == [[ONE]]


def test_it_adopts_what_was_open(stage: Stage, alice: User) -> None:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    stage.run(3)
    first = stage.buy(provider, 1.0)
    stage.run(3)
    row = follows(provider, follower, start_policy="adopt", multiplier=HALF)
    CopyRelationship.objects.update(created_at=stage.now, started_at=stage.now)
    stage.run(10)
    assert held(stage, [follower]) == [[HALF]]
    row.refresh_from_db()
    assert row.adopted_at is not None
    assert only().provider_position == first
    close(stage, provider, first, 0.5)
    stage.run(10)
    assert held(stage, [follower]) == [[Decimal("0.25")]]
    close(stage, provider, first, 0.5)
    stage.run(10)
    assert held(stage, [follower]) == [[]]
    assert Order.objects.filter(kind=Order.Kind.OPEN).count() == 1


def test_it_adopts_nothing_that_is_copied_at_this_moment(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    stage.run(3)
    first = stage.buy(provider, 1.0)
    stage.run(3)
    follows(provider, follower, start_policy="adopt")
    CopyRelationship.objects.update(created_at=stage.now, started_at=stage.now)
    before_start = adopting._before_start

    def racing(*arguments: Any) -> Any:
        found = before_start(*arguments)
        with monkeypatch.context() as patch:
            patch.setattr(Folds, "unfold", away)
            copy(stage, event_of(stage, provider, EventKind.OPEN, first))
        return found

    monkeypatch.setattr(adopting, "_before_start", racing)
    stage.run(10)
    assert held(stage, [follower]) == [[ONE]]
    assert Order.objects.count() == CopyPosition.objects.count() == 1


def away(*arguments: object) -> None:
    raise OperationalError("the database is away")


def test_it_adopts_once_for_each_follower(stage: Stage, alice: User) -> None:
    provider, early, late = (stage.open(alice, name) for name in ("Provider", "E", "L"))
    follows(provider, early)
    stage.run(3)
    stage.buy(provider, 1.0)
    stage.run(10)
    follows(provider, late, start_policy="adopt")
    CopyRelationship.objects.filter(follower=late).update(
        created_at=stage.now, started_at=stage.now
    )
    stage.run(10)
    # As if the worker had died before it could say so.
    CopyRelationship.objects.update(adopted_at=None)
    stage.kill_worker()
    stage.run(20)
    assert held(stage, [early, late]) == [[ONE], [ONE]]
    assert CopyEvent.objects.count() == 1


def test_it_adopts_nothing_for_new_trades_only(stage: Stage, alice: User) -> None:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    stage.run(3)
    stage.buy(provider, 1.0)
    stage.run(3)
    follows(provider, follower)
    CopyRelationship.objects.update(created_at=stage.now, started_at=stage.now)
    stage.run(10)
    assert held(stage, [follower]) == [[]]


def test_it_links_a_pending_order_that_filled(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, copies_pendings=True)
    place(stage, provider, 1.0, 1.09500)
    stage.run(10)
    assert len(pendings(stage, follower)) == 1
    crash_price(stage, 1.09400)
    pass_time(stage, 20)
    assert held(stage, [follower]) == [[ONE]]
    (theirs,) = terminal_of(stage, provider).positions()
    assert (only().state, only().provider_position) == (State.OPEN, theirs.ticket)
    close(stage, provider, theirs.ticket, 1.0)
    pass_time(stage, 20)
    assert held(stage, [follower]) == [[]]
    assert only().state == State.CLOSED


def test_it_closes_a_fill_whose_provider_cancelled(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, copies_pendings=True)
    ticket = place(stage, provider, 1.0, 1.09500)
    stage.run(10)
    (mine,) = pendings(stage, follower)
    # Only the follower's is moved to where its broker fills it.
    request = {"action": 7, "order": mine, "price": 1.09900}
    assert stage.server.call("order_send", follower.login, request)[0] == 10009
    crash_price(stage, 1.09850)
    pass_time(stage, 20)
    assert held(stage, [follower]) == [[ONE]]
    assert only().state == State.OPEN
    request = {"action": 8, "order": ticket}
    assert stage.server.call("order_send", provider.login, request)[0] == 10009
    pass_time(stage, 30)
    assert held(stage, [follower]) == [[]]
    assert only().state == State.CLOSED

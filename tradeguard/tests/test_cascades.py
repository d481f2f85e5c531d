"""A provider that is liquidated takes its followers with it; a follower falls alone."""

from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

import pytest

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.factories import make_user
from copytrade.models import CopyOrder, CopyPosition
from notifications.models import Notification
from risk.models import AccountLock, Enforcement, Order, RiskRule
from tradeguard.tests.copying_stage import crowd, follows
from tradeguard.tests.enforcement_stage import (
    armed,
    crash_price,
    nothing_closed_twice,
    pendings,
    place,
    terminal_of,
    trade,
    volumes,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)

LOW = {"deposit": 1_000.0, "leverage": 500}


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def owner(db: None) -> User:
    return make_user()


def provider_at_its_end(stage: Stage, owner: User, **terms: float) -> ConnectedAccount:
    """Open an account that a fall of half a cent brings to the end of its margin."""
    return stage.open(owner, "Provider", **{**LOW, **terms})


def fill(stage: Stage, provider: ConnectedAccount) -> None:
    """Let the provider buy, and its followers have the copies."""
    stage.run(3)
    trade(stage, provider, 2.0)
    stage.run(8)
    link_copies()
    stage.run(2)


def link_copies() -> None:
    """Let the ledger know the tickets of the copies, should it not yet."""
    for order in Order.objects.filter(origin=Order.Origin.COPY, kind=Order.Kind.OPEN):
        CopyPosition.objects.filter(follower_id=order.account_id, follower_position=None).update(
            follower_position=order.order_ticket, state="open", volume=order.filled_volume
        )


def armed_cutoff(*accounts: ConnectedAccount) -> None:
    armed(RiskRule.objects.get(is_cutoff=True), *accounts)


def cascades() -> dict[UUID, Enforcement]:
    runs = Enforcement.objects.filter(cause=Enforcement.Cause.CASCADE)
    return {run.account_id: run for run in runs}


def fall(stage: Stage, bid: float = 1.09560) -> None:
    crash_price(stage, bid)
    for _ in range(20):
        stage.server.step()
        stage.run(2)


def test_a_cut_off_closes_what_the_followers_copied_and_no_more(stage: Stage, owner: User) -> None:
    provider = provider_at_its_end(stage, owner, stop_out_level=5.0)
    followers = crowd(stage, owner, 2)
    for each in followers:
        follows(provider, each)
    own = trade(stage, followers[0], 0.3)
    waiting = place(stage, followers[0], 0.1, 1.05)
    stage.run(3)
    armed_cutoff(provider)
    fill(stage, provider)
    assert len(volumes(stage, followers[0])) == 2

    fall(stage, 1.09517)

    assert volumes(stage, provider) == {}
    assert volumes(stage, followers[0]) == {own: Decimal("0.30")}
    assert pendings(stage, followers[0]) == [waiting]
    assert volumes(stage, followers[1]) == {}
    runs = cascades()
    assert set(runs) == {each.pk for each in followers}
    for run in runs.values():
        assert run.stage == Enforcement.Stage.DONE
        assert run.confirmed_at is not None
        story = run.options["cascade"]
        assert story["provider_id"] == str(provider.pk)
        assert (story["by"], story["scope"]) == ("cutoff", "copied")
        # Whoever is quicker closes it: the copy of the provider's close, or the cascade.
        assert run.positions_closed + story["closed_by_copies"] == 1
        assert story["level_percent"] <= 10
        assert "Provider was liquidated at a margin level of" in run.reason
    assert not CopyPosition.objects.exclude(state=CopyPosition.State.CLOSED).exists()
    assert not CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED, sent_at=None).exists()
    assert not AccountLock.objects.filter(account_id__in=runs).exists()
    for each in followers:
        nothing_closed_twice(stage, each)


def test_a_stop_out_by_the_broker_does_the_same(stage: Stage, owner: User) -> None:
    provider = provider_at_its_end(stage, owner, stop_out_level=30.0)
    (follower,) = crowd(stage, owner, 1)
    follows(provider, follower)
    fill(stage, provider)

    fall(stage)

    assert volumes(stage, provider) == volumes(stage, follower) == {}
    (run,) = cascades().values()
    assert run.options["cascade"]["by"] == "broker"
    assert run.stage == Enforcement.Stage.DONE
    is_late = run.options["cascade"]["closed_by_copies"] == 1
    assert run.message.startswith("The copied closes had closed it already") == is_late
    nothing_closed_twice(stage, follower)


def test_what_the_broker_left_to_the_provider_goes_too(stage: Stage, owner: User) -> None:
    provider = provider_at_its_end(stage, owner, stop_out_level=30.0)
    (follower,) = crowd(stage, owner, 1)
    follows(provider, follower)
    stage.run(3)
    for lots in (1.5, 0.5):
        trade(stage, provider, lots)
        stage.run(8)
    link_copies()
    stage.run(2)

    fall(stage)

    assert list(volumes(stage, provider).values()) == [Decimal("0.50")]
    assert volumes(stage, follower) == {}
    (run,) = cascades().values()
    assert run.positions_closed == 1
    assert run.options["cascade"]["closed_by_copies"] == 1
    (order,) = Order.objects.filter(origin=Order.Origin.CASCADE)
    assert (order.enforcement_id, order.state) == (run.pk, Order.State.FILLED)
    nothing_closed_twice(stage, follower)


def test_everything_goes_where_the_owner_wants_that(stage: Stage, owner: User) -> None:
    provider = provider_at_its_end(stage, owner, stop_out_level=30.0)
    followers = crowd(stage, owner, 2)
    follows(provider, followers[0], cascade_scope="everything")
    follows(provider, followers[1], cascade_scope="everything", state="paused",
            follower_hold="paused")  # fmt: skip
    own = [trade(stage, each, 0.3) for each in followers]
    place(stage, followers[0], 0.1, 1.05)
    fill(stage, provider)

    fall(stage)

    assert volumes(stage, followers[0]) == {}
    assert pendings(stage, followers[0]) == []
    assert volumes(stage, followers[1]) == {own[1]: Decimal("0.30")}
    run = cascades()[followers[0].pk]
    assert (run.action, run.options["cascade"]["scope"]) == ("CLOSE_ALL", "everything")


def test_a_follower_falls_alone(stage: Stage, owner: User) -> None:
    provider = stage.open(owner, "Provider")
    weak = stage.open(owner, "Weak", **LOW, stop_out_level=30.0)
    strong = stage.open(owner, "Strong")
    for each in (weak, strong):
        follows(provider, each)
    fill(stage, provider)

    fall(stage)

    assert volumes(stage, weak) == {}
    assert len(volumes(stage, provider)) == len(volumes(stage, strong)) == 1
    assert cascades() == {}


def test_a_cascade_goes_on_after_its_worker_was_killed(stage: Stage, owner: User) -> None:
    provider = provider_at_its_end(stage, owner, stop_out_level=30.0)
    followers = crowd(stage, owner, 3)
    for each in followers:
        follows(provider, each)
    fill(stage, provider)
    for each in followers:
        stage.server.set_fault(each.login, FaultKind.REQUOTE)
    crash_price(stage, 1.09560)
    stage.server.step()
    stage.run(4)
    assert volumes(stage, provider) == {}
    stage.kill_worker()
    stage.server.clear_faults()
    stage.run(60)
    assert all(volumes(stage, each) == {} for each in followers)
    assert Enforcement.objects.filter(cause=Enforcement.Cause.CASCADE).count() == 3
    stage.kill_worker()
    kept = trade(stage, followers[0], 0.2)
    stage.run(30)
    assert volumes(stage, followers[0]) == {kept: Decimal("0.20")}
    assert Enforcement.objects.filter(cause=Enforcement.Cause.CASCADE).count() == 3


def test_of_a_netted_position_its_part_goes(stage: Stage, owner: User) -> None:
    provider = provider_at_its_end(stage, owner, stop_out_level=30.0)
    follower = stage.open(owner, "Netting", margin_mode=0)
    follows(provider, follower)
    trade(stage, follower, 0.5)
    stage.run(3)
    trade(stage, provider, 2.0)
    stage.run(8)
    (held,) = terminal_of(stage, follower).positions()
    assert held.volume == Decimal("2.50")
    CopyPosition.objects.update(state="open", follower_position=held.ticket, volume=Decimal("2.00"))
    fall(stage)
    (left,) = terminal_of(stage, follower).positions()
    assert left.volume == Decimal("0.50")
    nothing_closed_twice(stage, follower)


@pytest.mark.parametrize("is_held_up", [False, True])
def test_of_a_position_that_two_providers_share_both_parts_go(
    stage: Stage, owner: User, is_held_up: bool
) -> None:
    providers = [
        stage.open(owner, f"Provider {number}", **LOW, stop_out_level=30.0) for number in range(2)
    ]
    follower = stage.open(owner, "Netting", margin_mode=0)
    for each in providers:
        follows(each, follower)
    trade(stage, follower, 0.5)
    stage.run(3)
    for each in providers:
        trade(stage, each, 2.0)
        stage.run(8)
    assert list(volumes(stage, follower).values()) == [Decimal("4.50")]
    if is_held_up:
        # Both cascades have chosen before either has closed anything.
        stage.server.set_fault(follower.login, FaultKind.REJECT)
    fall(stage)
    stage.server.clear_faults()
    stage.run(80, seconds=1.0)
    assert Enforcement.objects.filter(cause=Enforcement.Cause.CASCADE, stage="done").count() == 2
    assert list(volumes(stage, follower).values()) == [Decimal("0.50")]
    nothing_closed_twice(stage, follower)


def test_both_owners_are_told_at_once(stage: Stage, owner: User) -> None:
    other = make_user("other")
    provider = provider_at_its_end(stage, owner, stop_out_level=30.0)
    followers = crowd(stage, other, 2)
    for each in followers:
        follows(provider, each)
    fill(stage, provider)

    fall(stage)

    told = Notification.objects.filter(type="cascade")
    mine = list(told.filter(user=owner).order_by("created_at", "pk"))
    assert [one.title for one in mine] == [
        "Provider: 2 followers closed with it",
        "Provider: the cascade is over",
    ]
    assert mine[0].priority == "urgent"
    assert not any("Follower" in one.body for one in mine)
    theirs = told.filter(user=other)
    assert all(one.priority == "urgent" for one in theirs)
    assert {one.object_id for one in theirs} == {str(each.pk) for each in followers}

"""Which followers fall with their provider, in whichever state they are, and what is told of it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.factories import make_user
from copytrade.cascade.story import cascade_stories
from copytrade.models import CopyOrder, CopyPosition, CopyRelationship
from risk.models import AccountLock, Enforcement, Order
from tradeguard.tests.copying_stage import crowd, follows
from tradeguard.tests.enforcement_stage import (
    crash_price,
    nothing_closed_twice,
    pass_time,
    trade,
    volumes,
)
from tradeguard.tests.stage import Stage, staged
from tradeguard.tests.two_hosts import two_hosts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def owner(db: None) -> User:
    return make_user()


def weak_provider(stage: Stage, owner: User) -> ConnectedAccount:
    """Open an account that its broker stops out after a fall of half a cent."""
    terms = {"deposit": 1_000.0, "leverage": 500, "stop_out_level": 30.0}
    return stage.open(owner, "Provider", **terms)


def fall(stage: Stage, ticks: int = 40) -> None:
    crash_price(stage, 1.09560)
    pass_time(stage, ticks)


def cascades() -> dict[str, Enforcement]:
    runs = Enforcement.objects.filter(cause=Enforcement.Cause.CASCADE)
    return {run.account_name: run for run in runs}


def test_whoever_is_held_back_loses_what_it_copied_earlier(stage: Stage, owner: User) -> None:
    provider = weak_provider(stage, owner)
    paused, closing, ending, ended, empty = crowd(stage, owner, 5)
    rows = [follows(provider, each) for each in (paused, closing, ending, ended)]
    follows(provider, empty, directions="sell")
    stage.run(3)
    trade(stage, provider, 2.0)
    stage.run(10)
    for row, changes in zip(
        rows,
        (
            {"state": "paused", "follower_hold": "paused"},
            {"state": "close_only", "provider_hold": "close_only"},
            {"state": "close_only", "ending": "as_provider"},
            {"state": "terminated", "ending": "keep"},
        ),
        strict=True,
    ):
        CopyRelationship.objects.filter(pk=row.pk).update(**changes)
    stage.run(10)

    fall(stage)

    assert volumes(stage, provider) == {}
    for each in (paused, closing, ending):
        assert volumes(stage, each) == {}
        nothing_closed_twice(stage, each)
    assert list(volumes(stage, ended).values()) == [Decimal("2.00")]
    # The third has ended with its last copied close, before a cascade was needed.
    assert set(cascades()) == {"Follower 0", "Follower 1"}
    rows[2].refresh_from_db()
    assert rows[2].state == CopyRelationship.State.TERMINATED


def test_a_locked_follower_falls_and_stays_locked(stage: Stage, owner: User) -> None:
    provider = weak_provider(stage, owner)
    (follower,) = crowd(stage, owner, 1)
    follows(provider, follower)
    stage.run(3)
    trade(stage, provider, 2.0)
    stage.run(10)
    AccountLock.objects.create(
        user_id=owner.pk, account_id=follower.pk, account_name=follower.name, cause="rule",
        reason="A rule.", locked_at=stage.now,
    )  # fmt: skip
    stage.run(10)
    fall(stage)
    assert volumes(stage, follower) == {}
    assert AccountLock.objects.standing().filter(account_id=follower.pk).exists()
    nothing_closed_twice(stage, follower)


@pytest.mark.parametrize(
    "kind", [FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER, FaultKind.LATE]
)
def test_an_open_in_the_market_is_closed_when_it_is_filled(
    stage: Stage, owner: User, kind: FaultKind
) -> None:
    provider = weak_provider(stage, owner)
    doubtful, prompt = crowd(stage, owner, 2)
    for each in (doubtful, prompt):
        follows(provider, each)
    stage.run(5)
    stage.server.set_fault(doubtful.login, kind)
    trade(stage, provider, 2.0)
    stage.run()
    assert Order.objects.get(account_id=doubtful.pk).state == Order.State.UNKNOWN
    stage.server.clear_faults()

    fall(stage, ticks=150)

    assert volumes(stage, doubtful) == volumes(stage, prompt) == {}
    assert not CopyPosition.objects.filter(state__in=CopyPosition.HELD).exists()
    assert not CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()
    assert not Enforcement.objects.running().exists()
    for each in (doubtful, prompt):
        nothing_closed_twice(stage, each)


def test_an_open_that_has_not_left_is_not_sent_any_more(stage: Stage, owner: User) -> None:
    provider = weak_provider(stage, owner)
    (busy,) = crowd(stage, owner, 1)
    follows(provider, busy)
    stage.run(5)
    stage.server.set_fault(busy.login, FaultKind.NONE)
    stage.run(1)
    trade(stage, provider, 2.0)
    stage.run(3)
    fall(stage, ticks=10)
    stage.server.clear_faults()
    stage.run(60)
    assert volumes(stage, busy) == {}
    assert not CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()
    assert not Order.objects.filter(state=Order.State.PENDING).exists()


def test_followers_on_another_host_fall_too(owner: User) -> None:
    with two_hosts() as hosts:
        weak: dict[str, Any] = {"deposit": 1_000.0, "leverage": 500, "stop_out_level": 30.0}
        provider = hosts.open(owner, "Provider", hosts.near, **weak)
        near = hosts.open(owner, "Near", hosts.near, leverage=500)
        far = hosts.open(owner, "Far", hosts.far, leverage=500)
        for each in (near, far):
            follows(provider, each)
        hosts.run(12)
        hosts.trade(provider, 2.0)
        hosts.run(12)
        assert hosts.held(hosts.far, [far]) == hosts.held(hosts.near, [near]) == [[2.0]]

        hosts.far.go_down()
        hosts.near.server.set_prices("EURUSD", 1.09560, 1.09562)
        hosts.near.server.step()
        hosts.run(20)
        assert hosts.held(hosts.near, [near]) == [[]]
        assert hosts.held(hosts.far, [far]) == [[2.0]]
        assert Enforcement.objects.running().get().host == "far"

        hosts.far.come_back()
        hosts.run(20)
        assert hosts.held(hosts.far, [far]) == [[]]
        run = cascades()["Far"]
        assert (run.host, run.stage) == ("far", Enforcement.Stage.DONE)
        assert not CopyPosition.objects.filter(state__in=CopyPosition.HELD).exists()


def test_the_story_is_told_to_whom_it_concerns(stage: Stage, owner: User) -> None:
    other = make_user("other")
    provider = weak_provider(stage, owner)
    mine, theirs = stage.open(owner, "Mine"), stage.open(other, "Theirs")
    follows(provider, mine)
    follows(provider, theirs, alias="Number 7", cascade_scope="everything")
    trade(stage, theirs, 0.3)
    stage.run(3)
    trade(stage, provider, 2.0)
    stage.run(10)
    fall(stage)

    (story,) = cascade_stories(owner, provider_id=provider.pk)
    assert (story.by, story.level_percent, story.is_over) == ("broker", 30.0, True)
    assert story.reason == (
        "Provider was stopped out by its broker, at a margin level of 30.0 % or less."
    )
    assert {each.follower for each in story.followers} == {"Mine", "Number 7"}
    assert story.seconds is not None
    assert 0 < story.seconds < 10
    assert story.failed == 0
    stranger = next(each for each in story.followers if not each.is_own)
    assert (stranger.message, stranger.lots_by_symbol, stranger.orders_cancelled) == ("", (), 0)
    (seen,) = cascade_stories(other)
    (fallen,) = seen.followers
    assert (fallen.follower, fallen.is_own, fallen.scope) == ("Theirs", True, "everything")
    assert fallen.message
    assert sum(lots for _, lots in fallen.lots_by_symbol) + 2 * fallen.closed_by_copies == Decimal(
        "2.30"
    )
    assert cascade_stories(make_user("stranger")) == []

"""Pending orders of a netting provider that take from its position, add to it, or turn it round.

The deal of an opposite order is copied as the close that it is, so that a follower's own order must
not be filled beside it, or is closed again.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import EventKind
from copytrade.keeping import fills, overlooked
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from risk.models import Order
from tradeguard.tests.copying_stage import event_of, follows, held
from tradeguard.tests.enforcement_stage import (
    MARGIN_MODES,
    crash_price,
    pass_time,
    pendings,
    place,
    trade,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

SOLD = 1.0
PART = 0.4
# So soon all is as it should be, by a broker that answers at once: less than one thorough look.
SOON = 6.0
State = CopyPosition.State


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def desk(
    stage: Stage, user: User, mode: str = "hedging", **terms: Any
) -> tuple[ConnectedAccount, ConnectedAccount]:
    """Return a netting provider and a follower that copies its pending orders."""
    provider = stage.open(user, "Provider", margin_mode=MARGIN_MODES["netting"])
    follower = stage.open(user, "Follower", margin_mode=MARGIN_MODES[mode])
    follows(provider, follower, copies_pendings=True, **terms)
    pass_time(stage, 5)
    return provider, follower


def wait(stage: Stage, seconds: float) -> None:
    pass_time(stage, int(seconds * 5))


def rest(stage: Stage, seconds: int = 25) -> None:
    """Wait for what is looked for seldom."""
    pass_time(stage, seconds, seconds=1.0)


def hold_and_order(
    stage: Stage, provider: ConnectedAccount, held_lots: float, ordered_lots: float
) -> None:
    """Let the provider hold so much, below 0 sold, and order to buy below the price."""
    trade(stage, provider, held_lots)
    wait(stage, 3)
    place(stage, provider, ordered_lots, 1.09500)
    wait(stage, 3)


def at(stage: Stage, account: ConnectedAccount, price: float) -> int:
    """Move the only pending order of an account."""
    (mine,) = pendings(stage, account)
    request = {"action": 7, "order": mine, "price": price}
    assert stage.server.call("order_send", account.login, request)[0] == 10009
    return mine


def net(stage: Stage, account: ConnectedAccount) -> Decimal:
    return sum(held(stage, [account])[0], Decimal(0))


def lots_of_ledger() -> Decimal:
    rows = CopyPosition.objects.filter(state__in=CopyPosition.HELD)
    return sum((row.volume if row.direction == "buy" else -row.volume for row in rows), Decimal(0))


def is_at_rest() -> bool:
    return (
        not CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()
        and not Order.objects.unfinished().exists()
        and not CopyPosition.objects.filter(state__in=(State.OPENING, State.CLOSING)).exists()
    )


@pytest.mark.parametrize("mode", ["hedging", "netting"])
@pytest.mark.parametrize(
    ("ordered", "left", "is_reverse"),
    [(0.4, "-0.6", False), (0.4, "-0.6", True), (1.0, "0", False)],
)
def test_an_order_that_closes_a_part_closes_it_once(
    stage: Stage, alice: User, mode: str, ordered: float, left: str, is_reverse: bool
) -> None:
    provider, follower = desk(stage, alice, mode, is_reverse=is_reverse)
    hold_and_order(stage, provider, -SOLD, ordered)
    assert len(pendings(stage, follower)) == 1
    crash_price(stage, 1.09400)
    wait(stage, SOON)
    expected = Decimal(left) * (-1 if is_reverse else 1)
    assert net(stage, follower) == expected == lots_of_ledger()
    assert len(held(stage, [follower])[0]) == bool(expected)
    rest(stage)
    assert net(stage, follower) == expected == lots_of_ledger()
    assert is_at_rest()
    assert pendings(stage, follower) == []


@pytest.mark.parametrize("mode", ["hedging", "netting"])
@pytest.mark.parametrize(("ordered", "left"), [(0.4, "-0.6"), (1.0, "0")])
def test_a_copy_that_was_filled_first_is_closed_as_well(
    stage: Stage, alice: User, mode: str, ordered: float, left: str
) -> None:
    provider, follower = desk(stage, alice, mode)
    hold_and_order(stage, provider, -SOLD, ordered)
    at(stage, follower, 1.09900)
    crash_price(stage, 1.09850)
    wait(stage, 5)
    # Its provider's waits yet, and may open something.
    assert net(stage, follower) == Decimal(str(round(ordered - SOLD, 2))) == lots_of_ledger()
    crash_price(stage, 1.09400)
    wait(stage, SOON)
    assert net(stage, follower) == Decimal(left) == lots_of_ledger()
    rest(stage)
    assert net(stage, follower) == Decimal(left) == lots_of_ledger()
    assert is_at_rest()


@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_a_copy_that_still_waits_then_waits_no_more(stage: Stage, alice: User, mode: str) -> None:
    provider, follower = desk(stage, alice, mode)
    hold_and_order(stage, provider, -SOLD, PART)
    at(stage, follower, 1.05000)
    crash_price(stage, 1.09400)
    wait(stage, SOON)
    assert pendings(stage, follower) == []
    rest(stage)
    assert net(stage, follower) == Decimal("-0.6") == lots_of_ledger()
    assert is_at_rest()


def test_what_the_broker_fills_of_it_a_moment_later_is_closed_at_once(
    stage: Stage, alice: User
) -> None:
    provider, follower = desk(stage, alice)
    hold_and_order(stage, provider, -SOLD, PART)
    at(stage, follower, 1.09300)
    crash_price(stage, 1.09400)
    stage.run(2)
    crash_price(stage, 1.09200)
    wait(stage, SOON)
    assert held(stage, [follower]) == [[Decimal("-0.6")]]


@pytest.mark.parametrize("is_first", [False, True])
def test_an_order_that_turns_the_position_round_keeps_its_copy(
    stage: Stage, alice: User, is_first: bool
) -> None:
    provider, follower = desk(stage, alice)
    hold_and_order(stage, provider, -PART, SOLD)
    if is_first:
        at(stage, follower, 1.09900)
        crash_price(stage, 1.09850)
        wait(stage, 5)
    crash_price(stage, 1.09400)
    rest(stage)
    assert held(stage, [provider]) == [[Decimal("0.6")]]
    assert held(stage, [follower]) == [[Decimal(1)]]
    assert is_at_rest()
    trade(stage, provider, -0.6)
    rest(stage)
    assert held(stage, [provider, follower]) == [[], []]


def test_a_copy_waits_on_where_the_order_has_turned_the_position_round(
    stage: Stage, alice: User
) -> None:
    provider, follower = desk(stage, alice)
    hold_and_order(stage, provider, -PART, SOLD)
    mine = at(stage, follower, 1.09300)
    crash_price(stage, 1.09400)
    rest(stage)
    assert pendings(stage, follower) == [mine]
    crash_price(stage, 1.09200)
    rest(stage)
    assert held(stage, [follower]) == [[Decimal(1)]]


@pytest.mark.parametrize("mode", ["hedging", "netting"])
@pytest.mark.parametrize("is_first", [False, True])
def test_what_an_order_has_added_is_closed_with_the_rest(
    stage: Stage, alice: User, mode: str, is_first: bool
) -> None:
    provider, follower = desk(stage, alice, mode)
    hold_and_order(stage, provider, SOLD, PART)
    if is_first:
        at(stage, follower, 1.09900)
        crash_price(stage, 1.09850)
        wait(stage, 5)
    crash_price(stage, 1.09400)
    wait(stage, SOON)
    assert net(stage, follower) == net(stage, provider) == Decimal("1.4")
    trade(stage, provider, -0.7)
    wait(stage, SOON)
    assert net(stage, follower) == net(stage, provider) == Decimal("0.7") == lots_of_ledger()
    trade(stage, provider, -0.7)
    wait(stage, SOON)
    assert net(stage, follower) == net(stage, provider) == 0
    assert is_at_rest()


@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_a_worker_that_died_in_between_is_followed_by_one_that_closes_it(
    stage: Stage, alice: User, mode: str
) -> None:
    provider, follower = desk(stage, alice, mode)
    hold_and_order(stage, provider, -SOLD, PART)
    crash_price(stage, 1.09400)
    for ticks in (1, 2, 5, 8):
        pass_time(stage, ticks)
        stage.kill_worker()
    rest(stage)
    assert net(stage, follower) == Decimal("-0.6") == lots_of_ledger()
    assert is_at_rest()


def test_two_providers_share_a_netted_follower(stage: Stage, alice: User) -> None:
    provider, follower = desk(stage, alice, "netting")
    other = stage.open(alice, "Other", margin_mode=MARGIN_MODES["netting"])
    follows(other, follower, copies_pendings=True)
    wait(stage, 2)
    trade(stage, provider, -SOLD)
    trade(stage, other, 0.5)
    wait(stage, 5)
    place(stage, provider, PART, 1.09500)
    wait(stage, 3)
    crash_price(stage, 1.09400)
    wait(stage, 2 * SOON)
    assert net(stage, follower) == Decimal("-0.1") == lots_of_ledger()
    trade(stage, other, -0.5)
    wait(stage, 2 * SOON)
    assert net(stage, follower) == Decimal("-0.6") == lots_of_ledger()
    assert is_at_rest()


def stored(stage: Stage, account: ConnectedAccount, kind: EventKind, **fields: Any) -> CopyEvent:
    event = event_of(stage, account, kind, 10, **{"planned_at": stage.now, **fields})
    event.save(force_insert=True)
    return event


ORDER = 77


def told(stage: Stage, account: ConnectedAccount, *closed: str) -> None:
    stored(stage, account, EventKind.PENDING_PLACED, order_ticket=ORDER, position_ticket=None)
    for lots in closed:
        stored(stage, account, EventKind.PARTIAL_CLOSE, order_ticket=ORDER, volume=Decimal(lots))


def test_it_is_spent_once_closes_explain_all_of_it(stage: Stage, alice: User) -> None:
    provider = stage.open(alice, "Provider")
    key = provider.pk, ORDER
    told(stage, provider, "0.50", "0.49")
    assert not fills.Fills([key]).is_spent(key, stage.now)
    last = stored(
        stage, provider, EventKind.PARTIAL_CLOSE, order_ticket=ORDER, volume=Decimal("0.01"),
        planned_at=None,
    )  # fmt: skip
    # Its copies are not written yet.
    assert not fills.Fills([key]).is_spent(key, stage.now)
    CopyEvent.objects.filter(pk=last.pk).update(planned_at=stage.now)
    assert fills.Fills([key]).is_spent(key, stage.now)
    stored(stage, provider, EventKind.OPEN, order_ticket=ORDER)
    assert not fills.Fills([key]).is_spent(key, stage.now)


def test_an_order_that_ended_early_has_its_last_deals_waited_for(stage: Stage, alice: User) -> None:
    provider = stage.open(alice, "Provider")
    key = provider.pk, ORDER
    told(stage, provider, "0.50")
    late = stage.now + fills.PATIENCE
    assert not fills.Fills([key]).is_spent(key, late + fills.PATIENCE)
    stored(stage, provider, EventKind.PENDING_FILLED, order_ticket=ORDER)
    assert not fills.Fills([key]).is_spent(key, late)
    moment = fills.PATIENCE / 1_000_000
    assert fills.Fills([key]).is_spent(key, late + moment)


def test_another_provider_s_order_of_the_same_ticket_is_another(stage: Stage, alice: User) -> None:
    provider, other = stage.open(alice, "Provider"), stage.open(alice, "Other")
    follower = stage.open(alice, "Follower")
    follows(provider, follower)
    follows(other, follower)
    pass_time(stage, 3)
    trade(stage, other, SOLD)
    pass_time(stage, 10)
    # What follows the other one goes by a pending order now, with the ticket of a close elsewhere.
    CopyEvent.objects.filter(provider_id=other.pk).update(
        kind=EventKind.PENDING_PLACED, order_ticket=ORDER, position_ticket=None
    )
    CopyPosition.objects.update(provider_position=ORDER)
    told(stage, provider, "1.00")
    CopyEvent.objects.filter(provider_id=provider.pk).update(position_ticket=ORDER)
    followers = [follower.pk]
    for is_thorough in (False, True):
        assert overlooked.opposite(followers, stage.now, is_thorough=is_thorough) == []
    told(stage, other, "1.00")
    mine = CopyEvent.objects.filter(provider_id=other.pk, kind=EventKind.PENDING_PLACED)
    mine.exclude(pk__in=CopyOrder.objects.values("event_id")).delete()
    for is_thorough in (False, True):
        found = overlooked.opposite(followers, stage.now, is_thorough=is_thorough)
        assert [row.pk for row in found] == [CopyPosition.objects.get().pk]

"""What netted copies held is given back by trading the other way, which opens nothing new."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial

import pytest

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.core.kinds import EventKind
from copytrade.keeping import fairness
from copytrade.models import CopyOrder, CopyPosition, CopyRelationship
from copytrade.services.states import close_only, pause, terminate
from risk.models import Order
from tradeguard.tests.copying_stage import copy, event_of, follows, held
from tradeguard.tests.enforcement_stage import MARGIN_MODES, deals, trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE = Decimal("1.00")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.mark.parametrize(
    ("hold", "state"),
    [
        (pause, "paused"),
        (close_only, "close_only"),
        (partial(terminate, ending="as_provider"), "terminated"),
        (partial(terminate, ending="close_now"), "terminated"),
    ],
)
def test_what_is_held_back_or_ends_is_closed_although_it_is_netted_away(
    stage: Stage, alice: User, hold: Callable[..., object], state: str
) -> None:
    buyer, seller = stage.open(alice, "Buyer"), stage.open(alice, "Seller")
    follower = stage.open(alice, "Follower", margin_mode=MARGIN_MODES["netting"])
    bought, _ = follows(buyer, follower), follows(seller, follower)
    stage.run(5)
    copy(stage, event_of(stage, buyer, EventKind.OPEN, 77))
    stage.run(5)
    copy(stage, event_of(stage, seller, EventKind.OPEN, 78, direction="sell"))
    stage.run(10)
    assert held(stage, [follower]) == [[]]

    hold(relationship=bought, actor=alice, now=stage.now)
    closes_itself = isinstance(hold, partial) and hold.keywords["ending"] == "close_now"
    if not closes_itself:
        copy(stage, event_of(stage, buyer, EventKind.CLOSE, 77))
    stage.run(6, seconds=1.0)
    assert held(stage, [follower]) == [[-ONE]]
    rows = dict(CopyPosition.objects.values_list("provider_position", "state"))
    assert rows == {77: "closed", 78: "open"}
    assert set(CopyOrder.objects.values_list("state", flat=True)) == {"done"}
    assert set(Order.objects.values_list("state", flat=True)) == {"filled"}
    bought.refresh_from_db()
    assert bought.state == state


FIRST = 77
# What is held of each position of the provider; together it is bought.
SOME = {"buy": ("0.10", "0.20", "0.30"), "sell": ("0.15", "0.05")}
# Refused closes are tried again after 3 s, and what comes then leaves together. A copy that is held
# in part alone needs two orders, and readings between them.
SECONDS, MIXED_SECONDS = 5, 12


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no look end early because the machine has something else to do."""
    monkeypatch.setattr(fairness, "BUDGET_SECONDS", 3_600.0)


def shared(
    stage: Stage, user: User, lots: dict[str, tuple[str, ...]]
) -> tuple[ConnectedAccount, ConnectedAccount, list[tuple[int, str, Decimal]]]:
    """Return a provider, a netting follower, and the positions that it holds copies of."""
    provider = stage.open(user, "Provider")
    follower = stage.open(user, "Follower", margin_mode=MARGIN_MODES["netting"])
    follows(provider, follower)
    stage.run(5)
    positions: list[tuple[int, str, Decimal]] = []
    for direction, volumes in lots.items():
        for volume in map(Decimal, volumes):
            ticket = FIRST + len(positions)
            positions.append((ticket, direction, volume))
            fields = {"direction": direction, "volume": volume}
            copy(stage, event_of(stage, provider, EventKind.OPEN, ticket, **fields))
            stage.run(10)
    return provider, follower, positions


def closed(
    stage: Stage, provider: ConnectedAccount, positions: list[tuple[int, str, Decimal]]
) -> None:
    for ticket, direction, volume in positions:
        fields = {"direction": direction, "volume": volume, "volume_before": volume}
        copy(stage, event_of(stage, provider, EventKind.CLOSE, ticket, **fields))


def signed(position: tuple[int, str, Decimal]) -> Decimal:
    _, direction, volume = position
    return volume if direction == "buy" else -volume


def net(stage: Stage, account: ConnectedAccount) -> Decimal:
    return sum(held(stage, [account])[0], Decimal(0))


@pytest.mark.parametrize(
    ("lots", "stays", "seconds"),
    [
        ({"buy": ("0.10", "0.20", "0.30", "0.05", "0.07")}, (), SECONDS),
        ({"buy": ("0.10", "0.20", "0.30", "0.05", "0.07")}, (2,), SECONDS),
        (SOME, (0, 1, 2), SECONDS),
        (SOME, (), MIXED_SECONDS),
        (SOME, (3,), MIXED_SECONDS),
    ],
)
def test_closes_of_one_position_that_are_due_leave_together(
    stage: Stage,
    alice: User,
    lots: dict[str, tuple[str, ...]],
    stays: tuple[int, ...],
    seconds: int,
) -> None:
    provider, follower, positions = shared(stage, alice, lots)
    stage.server.set_fault(follower.login, FaultKind.REJECT)
    leaving = [one for place, one in enumerate(positions) if place not in stays]
    closed(stage, provider, leaving)
    stage.run(20)
    whole = sum(map(signed, positions), Decimal(0))
    assert net(stage, follower) == whole
    stage.server.clear_faults()
    stage.run(seconds, seconds=1.0)
    left = whole - sum(map(signed, leaving), Decimal(0))
    assert net(stage, follower) == left
    stage.run(20, seconds=1.0)
    assert net(stage, follower) == left
    rows = CopyPosition.objects.filter(state=CopyPosition.State.OPEN)
    assert {row.provider_position for row in rows} == {positions[place][0] for place in stays}
    assert set(CopyOrder.objects.values_list("state", flat=True)) == {"done"}


@pytest.mark.parametrize(
    "kind", [FaultKind.REJECT, FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER, FaultKind.LATE,
             FaultKind.PARTIAL_FILL, FaultKind.REQUOTE]
)  # fmt: skip
def test_one_that_goes_wrong_among_them_changes_nothing_in_the_end(
    stage: Stage, alice: User, kind: FaultKind
) -> None:
    provider, follower, positions = shared(stage, alice, SOME)
    stage.server.set_fault(follower.login, FaultKind.REJECT)
    closed(stage, provider, positions[1:])
    stage.run(20)
    stage.server.clear_faults()
    stage.server.set_fault(follower.login, kind, once=True)
    for _ in range(40):
        stage.server.step()
        stage.run(seconds=1.0)
    assert net(stage, follower) == signed(positions[0])
    rows = CopyPosition.objects.filter(state__in=CopyPosition.HELD)
    assert [row.provider_position for row in rows] == [positions[0][0]]


def test_nothing_that_the_follower_holds_itself_is_closed(stage: Stage, alice: User) -> None:
    provider, follower, positions = shared(stage, alice, {"buy": ("0.10", "0.20", "0.30")})
    trade(stage, follower, 0.5)
    stage.run(10)
    stage.server.set_fault(follower.login, FaultKind.REJECT)
    closed(stage, provider, positions)
    stage.run(20)
    stage.server.clear_faults()
    stage.run(30, seconds=1.0)
    assert net(stage, follower) == Decimal("0.50")


@pytest.mark.parametrize("part", ["0.05", "0.35", "0.60"])
def test_what_the_follower_has_closed_itself_is_not_opened_the_other_way(
    stage: Stage, alice: User, part: str
) -> None:
    provider, follower, positions = shared(stage, alice, {"buy": ("0.10", "0.20", "0.30")})
    stage.server.set_fault(follower.login, FaultKind.REJECT)
    closed(stage, provider, positions)
    stage.run(10)
    stage.server.clear_faults()
    trade(stage, follower, -float(part))
    lowest = net(stage, follower)
    for _ in range(30):
        stage.run(seconds=1.0)
        lowest = min(lowest, net(stage, follower))
    assert lowest == net(stage, follower) == 0
    assert not CopyPosition.objects.filter(state__in=CopyPosition.HELD).exists()
    opened = [deal for deal in deals(stage, follower) if deal.symbol and deal.entry == 0]
    assert sum(deal.volume for deal in opened) == Decimal("0.60")


def test_copies_that_end_now_leave_together(stage: Stage, alice: User) -> None:
    _, follower, _ = shared(stage, alice, SOME)
    relationship = CopyRelationship.objects.get()
    terminate(relationship=relationship, actor=alice, now=stage.now, ending="close_now")
    stage.run(MIXED_SECONDS, seconds=1.0)
    assert held(stage, [follower]) == [[]]
    assert not CopyPosition.objects.filter(state__in=CopyPosition.HELD).exists()
    assert set(Order.objects.values_list("state", flat=True)) == {"filled"}

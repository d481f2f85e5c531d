"""Worked tables of copying, through all of it: from the provider's deal to the follower's lots."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from risk.models import Order
from tradeguard.tests.copying_stage import follows, held, move_stops
from tradeguard.tests.enforcement_stage import MARGIN_MODES, pass_time, terminal_of, trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def pair(
    stage: Stage, user: User, *, theirs: str = "hedging", mine: str = "hedging", **terms: Any
) -> tuple[ConnectedAccount, ConnectedAccount]:
    """Return a provider and a follower whose sessions are connected."""
    provider = stage.open(user, "Provider", margin_mode=MARGIN_MODES[theirs])
    follower = stage.open(user, "Follower", margin_mode=MARGIN_MODES[mine])
    follows(provider, follower, **terms)
    pass_time(stage, 3)
    return provider, follower


def after(stage: Stage, follower: ConnectedAccount) -> str:
    """Return the follower's lots once all is settled, sold ones below 0."""
    unfinished = CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED)
    pass_time(stage, 6)
    for _ in range(60):
        if not unfinished.exists():
            break
        pass_time(stage)
    assert not unfinished.exists()
    (lots,) = held(stage, [follower])
    return f"{sum(lots, Decimal(0)):.2f}"


# Each row: the part of it that is copied, what is opened, what is closed of it, and what the
# follower holds after each of that: whole steps of 0.01 lots, rounded down.
PARTIAL_CLOSES = [
    ("1", "1.00", ["0.25", "0.25", "0.50"], ["1.00", "0.75", "0.50", "0.00"]),
    ("0.3", "1.00", ["0.25", "0.50", "0.25"], ["0.30", "0.23", "0.08", "0.00"]),
    ("0.03", "1.00", ["0.50", "0.25", "0.25"], ["0.03", "0.02", "0.01", "0.00"]),
    ("0.01", "1.00", ["0.50", "0.50"], ["0.01", "0.01", "0.00"]),
    ("2.5", "0.10", ["0.03", "0.06", "0.01"], ["0.25", "0.18", "0.03", "0.00"]),
]


@pytest.mark.parametrize(("multiplier", "opened", "closes", "expected"), PARTIAL_CLOSES)
@pytest.mark.parametrize("is_reverse", [False, True])
def test_it_closes_the_same_part(
    stage: Stage,
    alice: User,
    multiplier: str,
    opened: str,
    closes: Sequence[str],
    expected: Sequence[str],
    is_reverse: bool,
) -> None:
    provider, follower = pair(stage, alice, multiplier=Decimal(multiplier), is_reverse=is_reverse)
    ticket = trade(stage, provider, float(opened))
    found = [after(stage, follower)]
    for lots in closes:
        trade(stage, provider, -float(lots), position=ticket)
        found.append(after(stage, follower))
    sign = "-" if is_reverse else ""
    assert found == [each if each == "0.00" else f"{sign}{each}" for each in expected]
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}


def test_copies_add_up_on_a_netting_follower(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, mine="netting", multiplier=Decimal("0.5"))
    first = trade(stage, provider, 1.0)
    found = [after(stage, follower)]
    second = trade(stage, provider, -0.6)
    found.append(after(stage, follower))
    third = trade(stage, provider, 0.4)
    found.append(after(stage, follower))
    trade(stage, provider, -0.5, position=first)
    found.append(after(stage, follower))
    trade(stage, provider, -0.5, position=first)
    found.append(after(stage, follower))
    trade(stage, provider, 0.6, position=second)
    found.append(after(stage, follower))
    trade(stage, provider, -0.4, position=third)
    found.append(after(stage, follower))
    assert found == ["0.50", "0.20", "0.40", "0.15", "-0.10", "0.20", "0.00"]


def test_a_netted_position_is_copied_in_tickets(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, theirs="netting")
    found = []
    for lots in (1.0, 0.5, -0.6, -1.2, -0.3, 0.6):
        trade(stage, provider, lots)
        found.append(after(stage, follower))
    # Opened, added to, closed in part, turned round, added to, closed.
    assert found == ["1.00", "1.50", "0.90", "-0.30", "-0.60", "0.00"]
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}


def test_it_closes_each_ticket_of_a_position(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, theirs="netting")
    trade(stage, provider, 0.3)
    trade(stage, provider, 0.7)
    assert after(stage, follower) == "1.00"
    assert len(held(stage, [follower])[0]) == 2
    # Half of all is more than the first ticket has.
    trade(stage, provider, -0.5)
    assert after(stage, follower) == "0.50"
    trade(stage, provider, -0.5)
    assert after(stage, follower) == "0.00"


def test_it_moves_the_stops_of_each_ticket(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, theirs="netting")
    trade(stage, provider, 0.3)
    trade(stage, provider, 0.7)
    pass_time(stage, 12)
    (theirs,) = terminal_of(stage, provider).positions()
    move_stops(stage, provider, theirs.ticket, 1.08, 1.12)
    pass_time(stage, 20)
    mine = terminal_of(stage, follower).positions()
    assert [(each.stop_loss, each.take_profit) for each in mine] == [(1.08, 1.12)] * 2
    moved = CopyEvent.objects.get(kind=EventKind.STOPS)
    assert CopyOrder.objects.get(event_id=moved.pk).state == CopyOrder.State.DONE


def test_an_addition_comes_after_the_close_that_waits(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, theirs="netting")
    stage.server.set_fault(follower.login, FaultKind.TIMEOUT_AFTER, once=True)
    trade(stage, provider, 1.0)
    stage.run()
    trade(stage, provider, -0.5)
    stage.run()
    trade(stage, provider, 1.0)
    # Half of the first lot is closed, not half of both.
    assert after(stage, follower) == "1.50"


def test_it_says_why_stops_were_not_moved_and_moves_them_next_time(
    stage: Stage, alice: User
) -> None:
    provider, follower = pair(stage, alice)
    ticket = trade(stage, provider, 1.0)
    pass_time(stage, 10)
    stage.server.set_fault(follower.login, FaultKind.REJECT)
    move_stops(stage, provider, ticket, 1.08, 1.12)
    pass_time(stage, 10)
    moved = CopyEvent.objects.get(kind=EventKind.STOPS)
    row = CopyOrder.objects.get(event_id=moved.pk)
    assert row.state == CopyOrder.State.FAILED
    assert row.sentence
    stage.server.clear_faults()
    move_stops(stage, provider, ticket, 1.09, 1.12)
    pass_time(stage, 10)
    (mine,) = terminal_of(stage, follower).positions()
    assert (mine.stop_loss, mine.take_profit) == (1.09, 1.12)
    assert Order.objects.filter(kind=Order.Kind.MODIFY_POSITION).count() == 2

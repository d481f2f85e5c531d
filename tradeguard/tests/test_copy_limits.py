"""Limits of a relationship as its follower's worker keeps them: the equity stop, and the hours."""

from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import EventKind
from copytrade.models import CopyOrder, CopyRelationship
from tradeguard.tests.copying_stage import copy, event_of, follows, held
from tradeguard.tests.enforcement_stage import crash_price, terminal_of
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE = Decimal("1.00")
CENT = Decimal("0.01")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def pair(stage: Stage, user: User, **terms: object) -> tuple[ConnectedAccount, ConnectedAccount]:
    provider, follower = stage.open(user, "Provider"), stage.open(user, "Follower")
    follows(provider, follower, **terms)
    stage.run(3)
    return provider, follower


@pytest.mark.parametrize(("above", "is_stopped"), [(CENT, False), (0, True), (-CENT, True)])
def test_the_equity_stop_is_reached_at_its_amount(
    stage: Stage, alice: User, above: Decimal, is_stopped: bool
) -> None:
    provider, follower = pair(stage, alice, equity_stop=Decimal(1))
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    crash_price(stage, 1.09500)
    stage.run(10)
    assert held(stage, [follower]) == [[ONE]]
    equity = Decimal(repr(round(terminal_of(stage, follower).account().equity, 2)))
    CopyRelationship.objects.update(equity_stop=equity - above)
    stage.run(20)
    row = CopyRelationship.objects.get()
    assert held(stage, [follower]) == ([[]] if is_stopped else [[ONE]])
    assert (row.state == "paused", row.state_cause == "equity_stop") == (is_stopped,) * 2


@pytest.mark.parametrize(
    ("zone", "moment", "is_copied"),
    [
        # The clocks of Prague go forward on 28 March 2027, those of New York on 14 March.
        ("Europe/Prague", "2027-03-26T07:59", False),
        ("Europe/Prague", "2027-03-26T08:01", True),
        ("Europe/Prague", "2027-03-29T06:59", False),
        ("Europe/Prague", "2027-03-29T07:01", True),
        ("Europe/Prague", "2027-03-29T08:01", False),
        ("America/New_York", "2027-03-12T13:30", False),
        ("America/New_York", "2027-03-12T14:30", True),
        ("America/New_York", "2027-03-15T13:30", True),
        ("America/New_York", "2027-03-15T14:30", False),
    ],
)
def test_hours_go_by_the_wall_clock_before_and_after_it_changes(
    stage: Stage, alice: User, zone: str, moment: str, is_copied: bool
) -> None:
    provider, follower = pair(
        stage,
        alice,
        trading_from=time(9),
        trading_until=time(10),
        trading_zone=zone,
    )
    stage.clock[0] = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    stage.server.step()
    stage.run(5)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(5)
    assert held(stage, [follower]) == ([[ONE]] if is_copied else [[]])
    row = CopyOrder.objects.get()
    assert (row.state, row.reason) == (("done", "") if is_copied else ("skipped", "hours"))

"""What the pages of copying make of numbers."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import User
from accounts.terminals.readings import STALE_AFTER_SECONDS
from accounts.tests.factories import NOW, make_account
from copytrade.cascade.story import Fallen
from copytrade.core.kinds import EventKind, Sizing
from copytrade.models import CopyRelationship
from copytrade.screen.cascades import _closed
from copytrade.screen.group import group_panel
from copytrade.screen.holdings import Holdings, holdings_of
from copytrade.screen.ledger import event_rows
from copytrade.screen.relationships import relationship_rows
from copytrade.screen.terms import size_text
from copytrade.screen.words import lots, milliseconds, points, price
from copytrade.selectors.relationships import relationships_of, visible_to
from copytrade.tests.factories import make_event, make_position, make_relationship
from copytrade.tests.test_group_risk import connected, leave
from risk.core.statuses import Status
from risk.tests.factories import make_rule
from risk.tests.live_state import leave_readings


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        ("1", "1.00"),
        ("0.125", "0.125"),
        ("1234.5", "1,234.50"),
        ("9.609999999999999", "9.61"),  # a sum that SQLite made of binary numbers
        ("0.00000001", "0.00000001"),
        ("0", "0.00"),
    ],
)
def test_it_writes_lots(volume: str, text: str) -> None:
    assert lots(Decimal(volume)) == text


def test_it_writes_times_points_and_prices() -> None:
    seconds = (0.0, 0.0004, 0.0005, 0.0421, 0.9996, 1.84, 75.0, None)
    assert [milliseconds(each) for each in seconds] == [
        "<1 ms", "<1 ms", "<1 ms", "42 ms", "1.0 s", "1.8 s", "1.2 min", "—",
    ]  # fmt: skip
    assert [points(each) for each in (None, 0.0, -0.04, 0.05, -12.34)] == [
        "", "0 points", "0 points", "+0.1 points", "−12.3 points",
    ]  # fmt: skip
    assert [price(each) for each in (None, 1.08420, 151.512, 4082.6)] == [
        "—", "1.0842", "151.512", "4082.6",
    ]  # fmt: skip
    assert [price(1.08420, digits) for digits in (0, 4, 5)] == ["1.0842", "1.0842", "1.08420"]
    assert price(4081.0, 2) == "4081.00"


def test_prices_of_a_symbol_have_the_same_digits(row: CopyRelationship, alice: User) -> None:
    told: dict[str, Any] = {"direction": "buy", "volume": Decimal(1)}
    events = [
        make_event(row, EventKind.OPEN, price=1.0895, **told),
        make_event(row, EventKind.OPEN, price=1.08971, **told),
        make_event(row, EventKind.CLOSE, price=1.0893333333, **told),  # the mean of three deals
        make_event(row, EventKind.STOPS, stop_loss=1.085, symbol="EURUSD"),
        make_event(row, EventKind.OPEN, price=4081.5, **{**told, "symbol": "XAUUSD"}),
    ]
    assert [each.what.partition("at ")[2] for each in event_rows(alice, events)] == [
        "1.08950", "1.08971", "1.08933333", "", "4081.5",
    ]  # fmt: skip
    assert event_rows(alice, events)[3].what == "EURUSD: stop loss 1.08500, take profit —"
    (alone,) = event_rows(alice, events[:1], beside=events[1:2])
    assert alone.what.endswith("at 1.08950")


@pytest.fixture
def row(alice: User, bob: User) -> CopyRelationship:
    """Two copies that share one netted position of 0.10 lots."""
    row = make_relationship(make_account(alice, "Lead"), make_account(bob, "Savings"))
    for volume in ("0.04", "0.06"):
        make_position(row, follower_position=7, volume=Decimal(volume))
    return row


def held(user: User, row: CopyRelationship) -> Holdings:
    view = visible_to(user, relationships_of(user).get(pk=row.pk))
    assert view is not None
    return holdings_of(view, now=NOW)


def test_each_copy_has_its_part_of_a_shared_result(row: CopyRelationship, bob: User) -> None:
    leave_readings([row.follower], [], read_at=NOW.timestamp(), left=4_990.0)  # floating −10.00
    shown = held(bob, row)
    assert shown.text == "2 positions, 0.10 lots, −10.00 USD"
    assert {each.lots_here: each.result for each in shown.rows} == {
        "0.04": "−4.00 USD", "0.06": "−6.00 USD",
    }  # fmt: skip


def test_no_result_is_told_where_it_is_not_known_or_not_theirs(
    row: CopyRelationship, alice: User, bob: User
) -> None:
    assert held(bob, row).text == "2 positions, 0.10 lots"
    leave_readings([row.follower], [], read_at=NOW.timestamp() - STALE_AFTER_SECONDS - 0.1)
    assert held(bob, row).result == ""
    leave_readings([row.follower], [], read_at=NOW.timestamp(), ticket=8)
    assert held(bob, row).result == ""
    leave_readings([row.follower], [], read_at=NOW.timestamp())
    assert held(alice, row).result == ""
    assert held(bob, row).result != ""


def test_the_weakest_come_first_by_number_and_not_by_spelling(alice: User, bob: User) -> None:
    lead, *followers = (connected(alice, name) for name in ("Lead", "Nine", "Half", "Full"))
    other, rule = connected(bob, "Bob's"), make_rule(alice, applies_to_all_accounts=True)
    for account in (*followers, other):
        make_relationship(lead, account, alias=account.name)
    lefts = dict(zip((lead, *followers), (5_000.0, 450.0, 2_500.0, 5_000.0), strict=True))
    for account, left in lefts.items():
        leave(account, rule, Status.SAFE, left)
    leave(other, make_rule(bob, applies_to_all_accounts=True), Status.SAFE, 4_000.0)

    shown = group_panel(lead, now=NOW).rows
    assert [each.left for each in shown] == ["9 %", "50 %", "100 %", "100 %", ""]
    assert (shown[0].name, shown[-1].name) == ("Nine", "Bob's")


def test_an_offer_is_only_called_so_until_it_is_accepted(row: CopyRelationship, bob: User) -> None:
    assert relationship_rows(bob, [row])[0].side == "You copy alice"
    row.state = CopyRelationship.State.OFFERED
    assert relationship_rows(bob, [row])[0].side == "Offered by alice"


@pytest.mark.parametrize(
    ("by_run", "by_copies", "volumes", "text"),
    [
        (1, 1, {"AAPL": "20"}, "1 position: 20.00 AAPL, 1 position by copied closes"),
        (0, 1, {}, "1 position by copied closes"),
        (2, 0, {"AAPL": "20"}, "2 positions: 20.00 AAPL"),
        (0, 0, {}, "0 positions"),
    ],
)
def test_a_cascades_lots_stand_with_what_it_closed_itself(
    by_run: int, by_copies: int, volumes: dict[str, str], text: str
) -> None:
    fallen = Fallen(
        relationship_id=uuid4(), run_id=uuid4(), follower="Careful", is_own=True, scope="copied",
        stage="done", began_at=NOW, confirmed_at=NOW, seconds=2.0, positions_closed=by_run,
        closed_by_copies=by_copies, orders_cancelled=0, message="",
        lots_by_symbol=tuple((name, Decimal(volume)) for name, volume in volumes.items()),
    )  # fmt: skip
    assert _closed(fallen) == text


def test_one_to_one_is_not_called_1_times(row: CopyRelationship) -> None:
    row.sizing, row.multiplier = Sizing.MULTIPLIER, Decimal(1)
    assert size_text(row) == "As many lots as the provider"
    row.multiplier = Decimal("0.5")
    assert size_text(row) == "0.5 times the provider's lots"

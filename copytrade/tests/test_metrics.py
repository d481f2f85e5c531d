"""The figures of copying against ones worked out by hand."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import NOW, make_account
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.models import CopyOrder, CopyRelationship
from copytrade.selectors import metrics
from copytrade.selectors.metrics import CopyMetrics, provider_metrics, relationship_metrics
from copytrade.tests.factories import make_copy, make_event, make_relationship

State = CopyOrder.State
SINCE = NOW - timedelta(days=1)


@pytest.fixture
def row(alice: User) -> CopyRelationship:
    return make_relationship(make_account(alice, "Lead"), make_account(alice, "Own"))


def after(milliseconds: float) -> datetime:
    return NOW + timedelta(milliseconds=milliseconds)


def fill(row: CopyRelationship, sent: Sequence[float], **fields: Any) -> None:
    """Copy an event each, sent so many milliseconds after it was seen."""
    for each in sent:
        event = make_event(row, EventKind.OPEN)
        make_copy(row, event, sent_at=after(each), **fields)


def hop(told: CopyMetrics, name: str) -> metrics.HopLatency:
    return next(each for each in told.hops if each.hop == name)


def of(row: CopyRelationship, user: User) -> CopyMetrics:
    return relationship_metrics(row, user=user, since=SINCE)


def test_percentiles_are_those_of_the_durations(row: CopyRelationship, alice: User) -> None:
    fill(row, range(1, 102))
    told = hop(of(row, alice), "detected_to_sent")
    assert (told.count, told.p50, told.p95, told.p99) == (101, 51.0, 96.0, 100.0)
    assert hop(of(row, alice), "answered").p50 is None


def test_success_is_of_what_was_to_be_sent_and_has_ended(
    row: CopyRelationship, alice: User
) -> None:
    for state, count in ((State.DONE, 3), (State.FAILED, 1), (State.ORDERED, 2)):
        fill(row, range(count), state=state)
    fill(row, range(5), state=State.SKIPPED, reason=SkipReason.LATE.value)
    fill(row, range(6), state=State.SKIPPED, reason=SkipReason.HOURS.value)
    told = of(row, alice)
    assert (told.success_fraction, told.skipped, told.ordered) == (0.75, 11, 2)
    assert [(skip.reason, skip.count) for skip in told.skips] == [("hours", 6), ("late", 5)]


@pytest.mark.parametrize(("before", "count"), [(-1, 1), (0, 1), (1, 0)])
def test_it_looks_back_to_a_moment(
    before: int, count: int, row: CopyRelationship, alice: User
) -> None:
    fill(row, [1], planned_at=SINCE - timedelta(microseconds=before))
    assert (of(row, alice).done, of(row, alice).measured) == (count, count)


def test_only_the_newest_are_measured(
    row: CopyRelationship, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST_MEASURED", 2)
    for number, milliseconds in enumerate((1.0, 20.0, 30.0)):
        fill(row, [milliseconds], planned_at=NOW + timedelta(seconds=number))
    told = of(row, alice)
    assert (told.measured, told.done, hop(told, "detected_to_sent").p50) == (2, 3, 25.0)


def test_slippage_is_summed_in_each_currency(alice: User, bob: User) -> None:
    lead = make_account(alice, "Lead")
    rows = [
        make_relationship(lead, make_account(user, f"F {number}", currency=currency))
        for number, (user, currency) in enumerate(
            [(alice, "USD"), (alice, "EUR"), (alice, "USD"), (bob, "CHF")]
        )
    ]
    for number, row in enumerate(rows):
        fill(
            row, [1.0], filled_volume=Decimal("0.1"),
            slippage_points=float(number), slippage_money=10.0 + number,
        )  # fmt: skip
    told = provider_metrics(lead, user=alice, since=SINCE)
    assert told.slippage.money == {"EUR": 11.0, "USD": 22.0}
    assert (told.slippage.count, told.slippage.mean_points, told.slippage.worst_points) == (
        4, 1.5, 3.0,
    )  # fmt: skip
    assert told.filled_lots == Decimal("0.4")


def test_it_takes_three_queries(row: CopyRelationship, alice: User) -> None:
    fill(row, range(3), slippage_money=1.0)
    with CaptureQueriesContext(connection) as queries:
        of(row, alice)
    assert len(queries) == 3

"""A batch that nobody can unfold is given up by staff, and what is known of it is told."""

from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.tests.factories import make_account, make_user
from copytrade.core.kinds import EventKind
from copytrade.models import CopyBatch, CopyEvent, CopyOrder, CopyRelationship
from copytrade.replication.packing import pack
from copytrade.replication.rows import Copy
from copytrade.services.under_way import may_be_opened_for_any
from copytrade.tests.factories import make_batch, make_copy, make_event, make_relationship
from risk.models import Order
from risk.orders.drafts import draft

pytestmark = pytest.mark.django_db


@pytest.fixture
def home(settings: Any, tmp_path: Path) -> Path:
    settings.HOME = tmp_path
    return tmp_path


@pytest.fixture
def relationship() -> CopyRelationship:
    user = make_user("alice")
    return make_relationship(make_account(user, name="Lead"), make_account(user, name="Second"))


def batch_of(relationship: CopyRelationship, kind: EventKind, **fields: Any) -> CopyBatch:
    row, event = make_batch(90), make_event(relationship, kind)
    told = {"event_id": event.pk, "provider_id": relationship.provider_id, **fields}
    CopyBatch.objects.filter(pk=row.pk).update(**told)
    return CopyBatch.objects.get(pk=row.pk)


def told(batch_id: UUID, *options: str) -> str:
    out = StringIO()
    call_command("write_off_batch", str(batch_id), *options, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "is_planned"),
    [
        (EventKind.OPEN, True),
        (EventKind.PENDING_PLACED, True),
        (EventKind.PARTIAL_CLOSE, True),
        (EventKind.CLOSE, False),
    ],
)
def test_it_holds_nobody_up_any_more(
    home: Path,
    relationship: CopyRelationship,
    caplog: pytest.LogCaptureFixture,
    kind: EventKind,
    is_planned: bool,
) -> None:
    batch = batch_of(relationship, kind)
    provider_id, later = batch.provider_id, timezone.now() + timedelta(hours=1)
    said = told(batch.pk)
    assert "Second (" in said
    assert "Nothing was done" in said
    assert may_be_opened_for_any(provider_id, now=later)

    said = told(batch.pk, "--yes")
    assert "cannot be read" in said
    assert "written off" in said
    assert not may_be_opened_for_any(provider_id, now=later)
    kept = home / "written-off" / f"{batch.pk}.batch"
    assert kept.read_bytes() == b"\xc1secret-payload"
    assert kept.stat().st_mode & 0o077 == 0
    assert f"Batch {batch.pk} was written off" in caplog.text
    assert "Second (" in caplog.text
    event = CopyEvent.objects.get(pk=batch.event_id)
    assert (event.planned_at is not None) is is_planned
    with pytest.raises(CommandError, match="written off before"):
        told(batch.pk, "--yes")


def test_whoever_has_a_copy_is_not_meant(home: Path, relationship: CopyRelationship) -> None:
    batch = batch_of(relationship, EventKind.OPEN)
    make_copy(relationship, CopyEvent.objects.get(pk=batch.event_id))
    assert "Second" not in told(batch.pk, "--yes")


def packed(relationship: CopyRelationship, event: CopyEvent, now: datetime) -> bytes:
    account = relationship.follower
    order = draft(
        account,
        Order.Kind.OPEN,
        host="local",
        origin=Order.Origin.COPY,
        now=now,
        symbol="EURUSD",
        direction="buy",
        requested_volume="0.23",
        volume="0.23",
        state=Order.State.SENT,
    )
    row = CopyOrder(
        id=uuid4(),
        event_id=event.pk,
        relationship_id=relationship.pk,
        provider_id=relationship.provider_id,
        follower_id=account.pk,
        order_id=order.pk,
        state=CopyOrder.State.ORDERED,
        planned_at=now,
    )
    follower: Any = None
    return pack([Copy(follower, row, order, None)])


def test_what_can_be_unfolded_is_not_given_up(home: Path, relationship: CopyRelationship) -> None:
    batch = batch_of(relationship, EventKind.OPEN)
    event = CopyEvent.objects.get(pk=batch.event_id)
    CopyBatch.objects.filter(pk=batch.pk).update(
        payload=packed(relationship, event, timezone.now())
    )
    assert "Second (" in told(batch.pk)
    assert "open EURUSD 0.23 lots" in told(batch.pk)
    assert "unfolded now" in told(batch.pk, "--yes")
    assert not (home / "written-off").exists()
    assert CopyOrder.objects.count() == Order.objects.count() == 1


@pytest.mark.parametrize(("age_seconds", "matches"), [(30, "look again"), (None, "no batch")])
def test_no_other_batch_is_given_up(age_seconds: float | None, matches: str) -> None:
    batch_id = uuid4() if age_seconds is None else make_batch(age_seconds).pk
    with pytest.raises(CommandError, match=matches):
        told(batch_id, "--yes")
    assert not CopyBatch.objects.exclude(unfolded_at=None).exists()


def test_nothing_is_given_up_that_cannot_be_kept(
    home: Path, relationship: CopyRelationship
) -> None:
    (home / "written-off").write_text("a file")
    batch = batch_of(relationship, EventKind.OPEN)
    with pytest.raises(CommandError, match="could not be kept"):
        told(batch.pk, "--yes")
    assert CopyBatch.objects.get(pk=batch.pk).unfolded_at is None

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.models import Delivery, Notification
from notifications.services import discarding
from notifications.services.keeping import HIDDEN_KEPT, forget_old
from notifications.tests.factories import make_delivery, make_notification

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def test_it_forgets_what_was_read_and_is_old(alice: User, settings: Any) -> None:
    settings.NOTIFICATIONS_KEPT_DAYS = 10
    edge = NOW - 10 * DAY
    kept = [
        make_notification(alice, now=edge, read_at=NOW),
        make_notification(alice, now=edge - 1000 * DAY),
    ]
    make_notification(alice, now=edge - MOMENT, read_at=NOW)

    assert forget_old(NOW) == 1
    assert set(Notification.objects.all()) == set(kept)


def test_it_forgets_what_is_hidden_after_a_month(alice: User) -> None:
    kept = make_notification(alice, now=NOW - HIDDEN_KEPT, is_hidden=True)
    make_notification(alice, now=NOW - HIDDEN_KEPT - MOMENT, is_hidden=True)

    assert forget_old(NOW) == 1
    assert list(Notification.objects.all()) == [kept]


def test_it_forgets_in_batches_with_their_deliveries(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discarding, "BATCH_SIZE", 2)
    for _ in range(5):
        make_delivery(alice, now=NOW - 400 * DAY, state="sent")
    Notification.objects.update(read_at=NOW)

    assert forget_old(NOW) == 5
    assert not Delivery.objects.exists()
    assert forget_old(NOW) == 0

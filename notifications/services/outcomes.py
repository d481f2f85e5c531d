"""Writing down what became of a letter, right after it was tried.

A letter that was sent is written as sent whoever has claimed it since. Every other outcome counts
only as long as the claim holds: a sender that stalled must not undo what its successor wrote.
"""

import logging
import random
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, close_old_connections, transaction
from django.db.models import F

from notifications.models import Channel, Delivery
from notifications.services.claiming import Claim
from notifications.services.switching import fall_back, fitting, lock_channel, switch_off

logger = logging.getLogger(__name__)

RETRY_AFTER: Final = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
)
MAX_ATTEMPTS: Final = len(RETRY_AFTER) + 1
# Pauses vary by this fraction, so that what failed together does not come back together.
JITTER: Final = 0.2
LONGEST_RETRY_AFTER: Final = timedelta(hours=6)
# A channel that fails for good so often in a row does not work any more.
FAILURES_IN_A_ROW: Final = 3
WAITS_FOR_CHANNEL: Final = "Waits, since the letter before it did not arrive."
_WRITES: Final = 4
_SECONDS_BETWEEN_WRITES: Final = 0.5


def write_sent(claim: Claim, *, now: datetime) -> None:
    """Write that a letter was sent.

    A database that is away for a moment must not have it sent twice, so this tries again.
    """
    sent = {"next_attempt_at": None, "error": "", "sent_at": now, "updated_at": now}
    every = [claim.all_rows(), claim.orphaned_rows()]
    unwritten = [rows.exclude(state=Delivery.State.SENT) for rows in every]
    _surely(lambda: any(rows.update(state=Delivery.State.SENT, **sent) for rows in unwritten))


def write_working(channel_ids: Collection[UUID], *, now: datetime) -> None:
    """Write that letters went out by these channels."""
    if not channel_ids:
        return
    with transaction.atomic(savepoint=False):
        # In the order of everybody who locks several, or two would wait for each other.
        rows = Channel.objects.filter(pk__in=channel_ids).order_by("pk")
        list(rows.select_for_update(no_key=True).values_list("pk"))
        rows.order_by().update(last_sent_at=now, failures_in_a_row=0, last_error="")


def write_postponed(
    claim: Claim, error: str, *, retry_after_seconds: float | None, now: datetime
) -> datetime:
    """Write that a letter is to be tried again, and return from when on.

    Everything else that is due by the channel waits as long as a first failure does.
    """
    attempts = claim.first.attempts
    asked_for = timedelta(seconds=max(0.0, retry_after_seconds or 0.0))
    asked_for = min(asked_for, LONGEST_RETRY_AFTER)
    until = now + max(_with_jitter(RETRY_AFTER[attempts - 1]), asked_for)
    others_until = now + max(_with_jitter(RETRY_AFTER[0]), asked_for)
    with transaction.atomic():
        lock_channel(claim.channel_id)
        claim.held_rows().update(next_attempt_at=until, error=fitting(error), updated_at=now)
        others = Delivery.objects.filter(
            channel=claim.channel_id, state=Delivery.State.PENDING, next_attempt_at__lte=now
        )
        others.filter(error="", attempts=0).update(error=WAITS_FOR_CHANNEL)
        others.update(next_attempt_at=others_until)
        Channel.objects.filter(pk=claim.channel_id).update(last_error=fitting(error))
    return others_until


def write_failed(
    claim: Claim, error: str, *, is_channels_fault: bool, is_gone: bool, now: datetime
) -> bool:
    """Write that a letter failed for good; tell whether its channel was switched off for that.

    A channel that fails again and again is. What always passes of it goes by e-mail.
    """
    text = fitting(error)
    with transaction.atomic():
        channel = lock_channel(claim.channel_id)
        fall_back(claim.held_rows(), now=now)
        written = claim.held_rows().update(
            state=Delivery.State.FAILED, next_attempt_at=None, error=text, updated_at=now
        )
        if not written or channel is None or not is_channels_fault:
            return False
        Channel.objects.filter(pk=channel.pk).update(
            failures_in_a_row=F("failures_in_a_row") + 1, last_error=text
        )
        is_over = is_gone or channel.failures_in_a_row + 1 >= FAILURES_IN_A_ROW
        if is_over:
            switch_off(channel, text, now)
    logger.warning("A letter by %s failed for good: %s", claim.first.transport, text)
    return is_over


def _with_jitter(pause: timedelta) -> timedelta:
    return pause * (1 + JITTER * random.random())  # noqa: S311  # nothing to guess here


def _surely(write: Callable[[], object]) -> None:
    for _ in range(_WRITES - 1):
        try:
            write()
        except (OperationalError, InterfaceError) as error:
            logger.warning("What was sent could not be written down yet: %s", type(error).__name__)
            close_old_connections()
            time.sleep(_SECONDS_BETWEEN_WRITES)
        else:
            return
    write()

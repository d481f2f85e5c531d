"""Bringing notifications to people: each delivery is claimed, tried and written down.

A claim is a conditional update that moves the next attempt past the time that sending can take. A
worker that dies before sending loses nothing: the claim lapses and the sweep tries again. One that
dies after sending and before writing it down sends a second time when the claim lapses, and so
does a mail server that takes a message and falls silent before it says so: e-mail has no way to ask
whether a message arrived. In every other case a delivery is sent at most once.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto

from django.db.models import QuerySet

from notifications.delivering.transport import TransportError
from notifications.models import Delivery
from notifications.services.letters import build_letter, credentials_of
from notifications.transports import transports

logger = logging.getLogger(__name__)

# Longer than any transport takes to give up.
CLAIM_LASTS = timedelta(minutes=5)
RETRY_AFTER = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
)
MAX_ATTEMPTS = len(RETRY_AFTER) + 1
SWEEP_SIZE = 200
LONGEST_ERROR = 255
# A mail server that is down costs a time-out each; what is left waits for the next sweep.
FAILURES_IN_A_ROW = 3


# A sweep may take minutes, so each claim asks for the time anew.
Clock = Callable[[], datetime]


class Outcome(Enum):
    SENT = auto()
    FAILED = auto()
    POSTPONED = auto()
    NOT_OURS = auto()


def deliver_due(*, clock: Clock) -> int:
    """Send what is due, oldest first, and return how many deliveries went out."""
    due = _due(now=clock()).order_by("next_attempt_at", "pk")[:SWEEP_SIZE]
    return _deliver_each(due, clock=clock)


def deliver_these(*, delivery_ids: Sequence[int], clock: Clock) -> int:
    """Send those of the given deliveries that are due and return how many went out."""
    due = _due(now=clock()).filter(pk__in=delivery_ids).order_by("pk")
    return _deliver_each(due, clock=clock)


def deliver_one(delivery: Delivery, *, now: datetime) -> Outcome:
    """Claim one delivery, send it and write down what came of it."""
    if not _claim(delivery, now=now):
        return Outcome.NOT_OURS
    if delivery.attempts > MAX_ATTEMPTS:
        # Only a worker that died while sending leaves the last attempt without a result.
        return _note_failure(delivery, "Given up: the worker stopped while sending.", now=now)
    try:
        transport = transports()[delivery.transport]
        transport.send(build_letter(delivery), credentials_of(delivery))
    except TransportError as error:
        if error.permanent or delivery.attempts == MAX_ATTEMPTS:
            return _note_failure(delivery, str(error), now=now)
        return _postpone(delivery, str(error), now=now)
    except Exception as error:
        # A defect of one transport must not stop the deliveries behind it.
        logger.exception("Delivery %s could not be sent.", delivery.pk)
        return _note_failure(delivery, f"{type(error).__name__}: {error}", now=now)
    # Without the number of the attempt: whoever claimed it since, it was sent.
    Delivery.objects.filter(pk=delivery.pk).update(
        state=Delivery.State.SENT, next_attempt_at=None, error="", updated_at=now
    )
    return Outcome.SENT


def _due(*, now: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        state=Delivery.State.PENDING, next_attempt_at__lte=now
    ).select_related("notification__user")


def _deliver_each(deliveries: Iterable[Delivery], *, clock: Clock) -> int:
    sent = failures = 0
    for delivery in deliveries:
        outcome = deliver_one(delivery, now=clock())
        sent += outcome is Outcome.SENT
        failures = failures + 1 if outcome is Outcome.POSTPONED else 0
        if failures == FAILURES_IN_A_ROW:
            break
    return sent


def _claim(delivery: Delivery, *, now: datetime) -> bool:
    claimed = Delivery.objects.filter(
        pk=delivery.pk,
        state=Delivery.State.PENDING,
        attempts=delivery.attempts,
        next_attempt_at__lte=now,
    ).update(attempts=delivery.attempts + 1, next_attempt_at=now + CLAIM_LASTS, updated_at=now)
    delivery.attempts += 1
    return claimed == 1


def _postpone(delivery: Delivery, error: str, *, now: datetime) -> Outcome:
    _claimed(delivery).update(
        next_attempt_at=now + RETRY_AFTER[delivery.attempts - 1],
        error=_fitting(error),
        updated_at=now,
    )
    return Outcome.POSTPONED


def _note_failure(delivery: Delivery, error: str, *, now: datetime) -> Outcome:
    _claimed(delivery).update(
        state=Delivery.State.FAILED, next_attempt_at=None, error=_fitting(error), updated_at=now
    )
    logger.warning("Delivery %s by %s failed for good: %s", delivery.pk, delivery.transport, error)
    return Outcome.FAILED


def _claimed(delivery: Delivery) -> QuerySet[Delivery]:
    """The row, unless the claim lapsed and another worker has taken it since."""
    return Delivery.objects.filter(
        pk=delivery.pk, state=Delivery.State.PENDING, attempts=delivery.attempts
    )


def _fitting(error: str) -> str:
    return " ".join(error.split())[:LONGEST_ERROR]

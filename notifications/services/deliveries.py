"""Bringing notifications to people, by one sender per transport at a time or a few of them.

A sender that dies before it sends loses nothing: its claims lapse, and the letters go out later.
One that dies after it sent a letter and before it wrote that down sends this letter again when the
claim lapses, as far as the transport cannot tell (`Transport.after_a_crash`). That is one letter
per sender at most, since each is written down before the next is sent. In every other case a letter
goes out at most once.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q

from notifications.delivering.slots import Slots
from notifications.models import Delivery
from notifications.services.claiming import due_transports
from notifications.services.sending import Clock, Sender, stopping
from notifications.services.switching import cancel, fall_back
from notifications.services.waking import wake_after_commit, wake_sender
from notifications.transports import transports

# Two, so that a letter which takes its time holds up only half of what goes the same way.
SENDERS_PER_TRANSPORT: Final = 2
STRANDED_AT_ONCE: Final = 1000
# What always passes does not wait longer than this for a channel that does not answer.
FALLS_BACK_AFTER: Final = timedelta(minutes=3)

_slots = Slots(SENDERS_PER_TRANSPORT)


def deliver_due(*, clock: Clock, transport: str | None = None) -> int:
    """Send everything that is due, or what is due by one transport, and return how many letters.

    What is urgent goes first, then each channel in turn.
    """
    names = due_transports(now=clock()) if transport is None else [transport]
    known = transports()
    return sum(Sender(known[name], clock=clock).run() for name in names if name in known)


def send_while_due(transport: str, *, clock: Clock) -> int:
    """Send what is due by a transport until nothing is, and return how many letters went out.

    Leaves it to the senders of this process that are at it already, when they are enough.
    """
    if not _slots.enter(transport):
        return 0
    sent = 0
    try:
        while True:
            sent += deliver_due(clock=clock, transport=transport)
            if _slots.leave(transport):
                return sent
    except BaseException:
        _slots.abandon(transport)
        raise


def sweep(*, now: datetime) -> None:
    """Have sent what is due and was not woken, and cancel what can never go out."""
    cancel_stranded(now=now)
    fall_back_late(now=now)
    for name in due_transports(now=now):
        wake_sender(name)


def cancel_stranded(*, now: datetime) -> int:
    """Cancel what is due and has no way to go any more, and return how many that were."""
    gone = (
        Q(channel=None)
        | Q(channel__switched_off_at__isnull=False)
        | Q(notification__user__is_active=False)
        | ~Q(transport__in=list(transports()))
    )
    due = Delivery.objects.filter(state=Delivery.State.PENDING, next_attempt_at__lte=now)
    stranded = list(due.filter(gone).order_by("pk").values_list("pk", flat=True)[:STRANDED_AT_ONCE])
    if not stranded:
        return 0
    with transaction.atomic():
        rows = Delivery.objects.filter(pk__in=stranded, state=Delivery.State.PENDING)
        return cancel(rows, because="The channel does not work any more.", now=now)


def fall_back_late(*, now: datetime) -> int:
    """Have sent by e-mail what always passes and waits too long for another channel.

    Only what a server was asked to take, or is known not to: what nobody came to try goes first by
    the channel that was chosen.
    """
    late = Delivery.objects.filter(
        state=Delivery.State.PENDING, created_at__lte=now - FALLS_BACK_AFTER
    )
    return fall_back(late.exclude(error=""), now=now)


@transaction.atomic
def send_again(*, deliveries: Iterable[Delivery], now: datetime) -> int:
    """Send once more what has ended, however it ended, and return how many deliveries that are.

    Each goes out as a letter of its own with a new id, so that nobody takes it for the one before.
    What has no working channel, or still waits, is left as it is.
    """
    ended = list(
        Delivery.objects.select_for_update(of=("self",))
        .filter(
            pk__in=[delivery.pk for delivery in deliveries],
            channel__switched_off_at=None,
            channel__user__is_active=True,
        )
        .exclude(state=Delivery.State.PENDING)
        .order_by("pk")
    )
    for delivery in ended:
        delivery.state = Delivery.State.PENDING
        delivery.hold = Delivery.Hold.NONE
        delivery.letter_id = uuid.uuid4()
        delivery.attempts = 0
        delivery.next_attempt_at = delivery.updated_at = now
        delivery.error = ""
        delivery.sent_at = None
    changed = ["state", "hold", "letter_id", "attempts", "next_attempt_at", "error", "sent_at"]
    Delivery.objects.bulk_update(ended, [*changed, "updated_at"], batch_size=500)
    for name in sorted({delivery.transport for delivery in ended}):
        wake_after_commit(name)
    return len(ended)


def stop_sending() -> None:
    """Have the senders of this process end soon; what they have not begun goes out later."""
    stopping.set()

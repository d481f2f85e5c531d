"""How a notification went out, in sentences."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import formats, timezone

from notifications.models import Delivery, Notification
from notifications.screen.channels import EMAIL, is_mail_unsent
from notifications.transports import transports

State, Hold = Delivery.State, Delivery.Hold


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One delivery: `tone` is sent, unsent (to nobody), waiting, failed or cancelled."""

    icon: str
    channel: str
    tone: str
    words: str
    error: str


def delivery_lines(notification: Notification, *, now: datetime) -> list[DeliveryLine]:
    """Return the deliveries of one notification, the earliest first."""
    return [delivery_line(each, now=now) for each in notification.deliveries.order_by("id")]


def delivery_line(delivery: Delivery, *, now: datetime) -> DeliveryLine:
    """Say what became of one delivery, in the time zone that is active."""
    transport = transports().get(delivery.transport)
    label = transport.label if transport else delivery.transport
    name = delivery.channel_name
    return DeliveryLine(
        icon=transport.icon if transport else "bell",
        channel=label if name in ("", label) else f"{label}, {name}",
        tone=_tone(delivery),
        words=_words(delivery, now),
        error="" if delivery.state == State.SENT else delivery.error,
    )


def clock_time(moment: datetime, *, now: datetime) -> str:
    """Write a time of day, and the date when it is not today's."""
    local = timezone.localtime(moment)
    if local.date() == timezone.localtime(now).date():
        return formats.date_format(local, "H:i")
    return formats.date_format(local, "j M, H:i")


def _words(delivery: Delivery, now: datetime) -> str:
    if delivery.state == State.SENT:
        at = f"at {clock_time(delivery.sent_at or delivery.updated_at, now=now)}"
        if _is_unsent(delivery):
            into = "went only into TradeGuard's log"
            return f"{into} {at}{_gathered(delivery)}: no mail server is set up"
        return f"sent {at}{_gathered(delivery)}"
    if delivery.state == State.FAILED:
        return f"failed after {_attempts(delivery.attempts)}"
    if delivery.state == State.CANCELLED:
        return "not sent any more"
    return _waiting(delivery, now)


def _tone(delivery: Delivery) -> str:
    if delivery.state == State.PENDING:
        return "waiting"
    return "unsent" if _is_unsent(delivery) else delivery.state


def _is_unsent(delivery: Delivery) -> bool:
    return delivery.transport == EMAIL and delivery.state == State.SENT and is_mail_unsent()


def _waiting(delivery: Delivery, now: datetime) -> str:
    due = delivery.next_attempt_at
    at = clock_time(due, now=now) if due and due > now else ""
    if delivery.attempts and delivery.error:
        then = f"tries again at {at}" if at else "is being tried again"
        return f"{_attempts(delivery.attempts)} failed, {then}"
    if delivery.hold == Hold.QUIET:
        return f"waits for the end of your quiet hours{f' at {at}' if at else ''}"
    if delivery.hold == Hold.STORM:
        return f"gathered with others, goes out {f'at {at}' if at else 'in a moment'}"
    return f"goes out at {at}" if at else "is being sent"


def _gathered(delivery: Delivery) -> str:
    if delivery.hold == Hold.QUIET:
        return ", with others, after your quiet hours"
    return ", in one message with others" if delivery.hold == Hold.STORM else ""


def _attempts(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"

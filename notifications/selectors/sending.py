"""How sending goes, for those who watch the machine."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Min, Q

from notifications.models import Channel, Delivery, Notification
from notifications.transports import transports

FAILED_WITHIN: Final = timedelta(hours=1)
# Deliveries, of them held ones, and when the first of them is to go.
NOTHING: Final[tuple[int, int, datetime | None]] = (0, 0, None)


@dataclass(frozen=True, slots=True)
class SendingFigures:
    """What waits by one transport, and since when it should have gone."""

    transport: str
    pending: int
    held: int
    longest_due_seconds: float
    failed_within_an_hour: int
    channels_off: int


def sending_figures(*, now: datetime) -> list[SendingFigures]:
    """Return how sending goes by each transport; three queries."""
    pending = (
        Delivery.objects.filter(state=Delivery.State.PENDING)
        .order_by()
        .values_list("transport")
        .annotate(Count("pk"), held=Count("pk", filter=Q(hold__gt="")), at=Min("next_attempt_at"))
    )
    failed = (
        Delivery.objects.filter(state=Delivery.State.FAILED, updated_at__gt=now - FAILED_WITHIN)
        .order_by()
        .values_list("transport")
        .annotate(Count("pk"))
    )
    off = (
        Channel.objects.exclude(switched_off_at=None)
        .order_by()
        .values_list("transport")
        .annotate(Count("pk"))
    )
    waits = {name: (count, held, at) for name, count, held, at in pending}
    failures, switched_off = dict(failed), dict(off)
    return [
        SendingFigures(
            transport=name,
            pending=count,
            held=held,
            longest_due_seconds=0.0 if at is None else max(0.0, (now - at).total_seconds()),
            failed_within_an_hour=failures.get(name, 0),
            channels_off=switched_off.get(name, 0),
        )
        for name, (count, held, at) in ((name, waits.get(name, NOTHING)) for name in transports())
    ]


def count_unrouted() -> int:
    """Return how many notifications nobody has decided on yet."""
    return Notification.objects.unrouted().count()

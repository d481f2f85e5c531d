"""The orders of an account that its last reading may not show yet."""

import math
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Q

from risk.gate.intents import SETTLING_SECONDS
from risk.models import Order

_SENT = (Order.State.SENT, Order.State.UNKNOWN)
_ENDED = (Order.State.FILLED, Order.State.PARTIAL, Order.State.PLACED)
# Where positions are netted, a close has taken away what an old reading still shows.
_COUNTED = (*Order.OPENING_KINDS, Order.Kind.CLOSE, Order.Kind.CLOSE_BY)


def orders_in_flight(account_id: UUID, read_at: float) -> list[Order]:
    """Return what was sent and has not ended, or ended about when the reading was taken or later.

    `read_at` is the UTC epoch of the reading. An order whose answer was lost ends when it was
    found again.
    """
    since = datetime.fromtimestamp(0.0 if math.isnan(read_at) else read_at, UTC)
    since -= timedelta(seconds=SETTLING_SECONDS)
    ended = Q(answered_at__gte=since) | Q(reconciled_at__gte=since)
    counts = Q(state__in=_SENT) | Q(ended, state__in=_ENDED, kind__in=_COUNTED)
    return list(Order.objects.filter(counts, account_id=account_id).order_by("created_at", "id"))

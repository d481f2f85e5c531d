"""An end for copies that nobody can carry on: each row of the ledger has one, with the reason."""

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import ConnectedAccount
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.publishing import ring_ledgers
from risk.models import Order

# Rows of one event are written in several transactions.
PATIENCE: Final = timedelta(minutes=1)
NO_ACCOUNT: Final = "The follower's account was deleted before this ended."
NO_ORDER: Final = "The order for it is not in the ledger any more."


def end_abandoned(now: datetime) -> int:
    """End copies, and positions, whose account or order is gone; return how many copies."""
    old = CopyOrder.objects.filter(
        state__in=CopyOrder.UNFINISHED, planned_at__lt=now - PATIENCE
    ).order_by()
    account = ConnectedAccount.objects.filter(pk=OuterRef("follower_id"))
    order = Order.objects.filter(pk=OuterRef("order_id"))
    event = CopyEvent.objects.filter(pk=OuterRef("event_id"))
    orderless = Q(order_id__isnull=False) & ~Exists(order)
    unplanned = Q(order_id=None) & ~Exists(event)
    ended = _end(old.filter(~Exists(account)), NO_ACCOUNT, now)
    ended += _end(old.filter(orderless | unplanned), NO_ORDER, now)
    held = CopyPosition.objects.filter(state__in=CopyPosition.HELD).filter(~Exists(account))
    if held.exists():
        held.update(state=CopyPosition.State.KEPT, closed_at=now)
    return ended


def _end(copies: QuerySet[CopyOrder], sentence: str, now: datetime) -> int:
    # Looked for first: on SQLite even an update of nothing keeps all other writers waiting.
    found = dict(copies.values_list("pk", "provider_id"))
    if not found:
        return 0
    ring_ledgers(found.values())
    mine = CopyOrder.objects.filter(pk__in=list(found), state__in=CopyOrder.UNFINISHED)
    return mine.update(state=CopyOrder.State.FAILED, sentence=sentence, ended_at=now)

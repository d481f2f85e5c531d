"""Reading the broker's clock in another zone, after somebody has corrected an account's zone."""

from datetime import timedelta, tzinfo
from itertools import groupby

from django.db.models import F

from accounts.core.zones import from_broker_epoch
from accounts.models import ConnectedAccount, Deal


def retime_deals(account: ConnectedAccount, *, before: tzinfo, after: tzinfo) -> None:
    """Move the times of an account's deals from one zone to another.

    Between two clock changes all of them move by the same, so that it takes few statements.
    """
    deals = Deal.objects.filter(account=account).order_by("time_msc")
    shown = deals.values_list("time_msc", flat=True).distinct()

    def shift(time_msc: int) -> float:
        epoch = time_msc / 1000.0
        return round(from_broker_epoch(epoch, after) - from_broker_epoch(epoch, before))

    for seconds, run in groupby(shown.iterator(), key=shift):
        times = list(run)
        if seconds:
            moved = Deal.objects.filter(account=account, time_msc__range=(times[0], times[-1]))
            moved.update(time=F("time") + timedelta(seconds=seconds))

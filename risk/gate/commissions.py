"""What trading costs: a terminal does not tell it, past deals do."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import DatabaseError
from django.db.models import Sum

from accounts.core.kinds import DealType
from accounts.models import Deal

logger = logging.getLogger(__name__)

LEARNED_FROM: Final = timedelta(days=90)
_KEPT_SECONDS: Final = 300.0


def learned_commission(account_id: UUID, symbol: str, *, now: datetime) -> float | None:
    """Return what one lot cost the account in commission each way, None without deals to tell.

    The commissions and fees of buys and sells over their lots: a broker that charges both ways at
    the opening comes out at half of it for each.
    """
    totals = Deal.objects.filter(
        account_id=account_id,
        symbol=symbol,
        type__in=(DealType.BUY, DealType.SELL),
        time__gte=now - LEARNED_FROM,
        volume_lots__gt=0,
    ).aggregate(commission=Sum("commission"), fee=Sum("fee"), lots=Sum("volume_lots"))
    if not totals["lots"]:
        return None
    return abs(float(totals["commission"] + totals["fee"])) / float(totals["lots"])


class Commissions:
    """Remembers what was learned for a few minutes; a database that is away changes nothing."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[tuple[UUID, str], tuple[float, float | None]] = {}

    def per_lot(self, account_id: UUID, symbol: str, now: datetime) -> float | None:
        at = self._monotonic()
        known = self._known.get((account_id, symbol))
        if known is not None and at - known[0] < _KEPT_SECONDS:
            return known[1]
        try:
            learned = learned_commission(account_id, symbol, now=now)
        except DatabaseError as error:
            logger.warning("What %s costs in commission can't be read: %s", symbol, error)
            return known[1] if known is not None else None
        self._known[account_id, symbol] = at, learned
        return learned


LEARNED: Final = Commissions()

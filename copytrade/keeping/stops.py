"""Equity stops of relationships: at it, all that was copied is closed, and copying pauses."""

import math
from typing import Any

from copytrade.core import sentences
from copytrade.core.facts import exact
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyPosition, CopyRelationship
from copytrade.services.states import stop_copying


def heed_equity_stops(followers: Any, around: Surroundings) -> None:
    """Stop the relationships whose followers' equity is at their stop, by fresh readings alone."""
    rows = (
        CopyRelationship.objects.copying()
        .filter(equity_stop__isnull=False, closing_since_at=None, follower_id__in=followers)
        .select_related("provider", "follower")
    )
    for row in rows:
        figures = around.scene.figures.get(row.follower_id)
        if figures is None or row.equity_stop is None or not math.isfinite(figures.equity):
            continue
        if exact(figures.equity) > row.equity_stop:
            continue
        # One that holds nothing and opens nothing has stopped already.
        if row.follower_hold and not _holds(row):
            continue
        stop_copying(
            relationship=row,
            cause=CopyRelationship.Cause.EQUITY_STOP,
            reason=sentences.equity_stop(figures, row.equity_stop),
            now=around.now,
            closes=True,
        )


def _holds(row: CopyRelationship) -> bool:
    held = CopyPosition.objects.filter(relationship_id=row.pk, state__in=CopyPosition.HELD)
    return held.exists()

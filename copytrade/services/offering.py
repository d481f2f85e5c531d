"""How often somebody may offer to others: an offer rings at its follower's owner."""

from datetime import datetime, timedelta
from typing import Final

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from copytrade.models import CopyRelationship
from copytrade.models.relationship import CopyRelationshipQuerySet
from risk.core.figures import counted_text

COUNTED: Final = timedelta(days=1)
MOST_TO_ONE_ACCOUNT: Final = 3
MOST_TO_OTHERS: Final = 200


def refuse_many_offers(actor: User, follower: ConnectedAccount, *, now: datetime) -> None:
    """Raise Refusal when the actor has offered too often within a day, whatever came of it."""
    lately = CopyRelationship.objects.filter(
        provider__user=actor, created_by_id=actor.pk, created_at__gt=now - COUNTED
    )
    others = lately.exclude(follower__user=actor)
    _refuse(others.filter(follower=follower), MOST_TO_ONE_ACCOUNT, "to this account", now)
    _refuse(others, MOST_TO_OTHERS, "to others", now)


def _refuse(offers: CopyRelationshipQuerySet, most: int, whom: str, now: datetime) -> None:
    counted = offers.order_by("-created_at").values_list("created_at", flat=True)[:most]
    if len(counted) < most:
        return
    wait = (min(counted) + COUNTED - now).total_seconds()
    raise Refusal(
        f"You have made {counted_text(most, 'offer')} {whom} within a day, which is the most.",
        code="too_many_offers",
        wait_seconds=wait,
    )

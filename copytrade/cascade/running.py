"""Which followers are being closed by cascades, for whoever else looks after their copies."""

from uuid import UUID

from django.db.models import QuerySet

from risk.models import Enforcement

STORY = "cascade"


def runs_under_way() -> QuerySet[Enforcement]:
    return Enforcement.objects.running().filter(cause=Enforcement.Cause.CASCADE)


def falling_followers() -> set[UUID]:
    """Return the accounts that a cascade is closing: no reading of them is anybody's doing."""
    return set(runs_under_way().order_by().values_list("account_id", flat=True))


def falling_relationships() -> set[UUID]:
    """Return the relationships whose copies a cascade is closing, so that nobody else does."""
    stories = runs_under_way().order_by().values_list("options", flat=True)
    found = (each.get(STORY, {}).get("relationship_id") for each in stories)
    return {UUID(relationship_id) for relationship_id in found if relationship_id}

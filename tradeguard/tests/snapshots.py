"""Everything that the database holds, to see that a refused request changed nothing."""

from typing import Any

from django.apps import apps

# When somebody was last seen, and the trail of what was refused, are written by design.
WRITTEN_ANYWAY = {"sessions.Session", "usersessions.UserSession", "accounts.ApiKeyAuditLog"}

Tables = dict[str, list[dict[str, Any]]]


def snapshot() -> Tables:
    """Return the rows of every table, by the name of its model."""
    return {
        model._meta.label: list(model._base_manager.order_by("pk").values())
        for model in apps.get_models(include_auto_created=True)
        if model._meta.label not in WRITTEN_ANYWAY
    }

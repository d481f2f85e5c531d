"""The ledgers of copying, which grow without end: what staff look for is found by an index."""

from functools import reduce
from operator import or_
from typing import TypeVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from accounts.admin.bases import LedgerAdmin
from copytrade.models import CopyEvent, CopyOrder, CopyPosition

Row = TypeVar("Row", bound=Model)


class FoundByIdAdmin(LedgerAdmin[Row]):
    """Searched by the whole of an id alone: a part of a text would be looked for in every row."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Row], search_term: str
    ) -> tuple[QuerySet[Row], bool]:
        if not search_term:
            return queryset, False
        try:
            wanted = UUID(search_term.strip())
        except ValueError:
            return queryset.none(), False
        names = self.get_search_fields(request)
        return queryset.filter(reduce(or_, (Q((str(name), wanted)) for name in names))), False


@admin.register(CopyEvent)
class CopyEventAdmin(FoundByIdAdmin[CopyEvent]):
    list_display = [
        "detected_at",
        "provider_name",
        "kind",
        "symbol",
        "direction",
        "volume",
        "volume_before",
        "price",
        "planned_at",
    ]
    list_filter = ["detected_at", "kind", "is_stop_out"]
    search_fields = ["id", "provider_id"]
    search_help_text = "The id of an event, or of its provider."


@admin.register(CopyOrder)
class CopyOrderAdmin(FoundByIdAdmin[CopyOrder]):
    list_display = [
        "planned_at",
        "relationship_id",
        "symbol",
        "state",
        "reason",
        "volume",
        "filled_volume",
        "slippage_points",
        "sentence",
    ]
    list_filter = ["planned_at", "state", "reason"]
    search_fields = [
        "id",
        "event_id",
        "relationship_id",
        "follower_id",
        "order_id",
    ]
    search_help_text = "The id of a copy, its event, relationship, follower or order."


@admin.register(CopyPosition)
class CopyPositionAdmin(FoundByIdAdmin[CopyPosition]):
    list_display = [
        "opened_at",
        "relationship_id",
        "symbol",
        "direction",
        "volume",
        "provider_volume",
        "state",
        "closed_at",
    ]
    list_filter = ["opened_at", "state", "direction", "closes_on_fill"]
    search_fields = ["id", "relationship_id"]
    search_help_text = "The id of a copied position, or of its relationship."

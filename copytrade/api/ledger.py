"""The ledger of copying: what providers did, and what became of it on each follower."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.viewsets import OwnedViewSet
from copytrade.api.filters import CopyFilter, EventFilter
from copytrade.api.ledger_serializers import CopySerializer, EventSerializer
from copytrade.models import CopyEvent, CopyOrder
from copytrade.selectors.ledger import copies_of, copy_views, event_views, events_of


class CopyEventViewSet(OwnedViewSet[CopyEvent]):
    """What your providers did, and what others' did that concerned your followers."""

    model = CopyEvent
    serializer_class = EventSerializer
    filterset_class = EventFilter
    search_fields = ["symbol", "provider_name"]
    ordering_fields = ["detected_at", "happened_at", "symbol", "kind"]
    ordering = ["-detected_at"]

    def own_rows(self) -> QuerySet[CopyEvent]:
        return events_of(self.owner)

    @extend_schema(responses=EventSerializer(many=True))
    def list(self, _request: Request) -> Response:
        page: Any = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        views = event_views(self.owner, page)
        return self.get_paginated_response(EventSerializer(views, many=True).data)

    def retrieve(self, _request: Request, **_ids: object) -> Response:
        """Show one event; its copies are in `copy-relationships/copies?event_id=`."""
        [view] = event_views(self.owner, [self.get_object()])
        return Response(EventSerializer(view).data)


class CopyViewSet(OwnedViewSet[CopyOrder]):
    """What became of each event on each follower: an order, or the reason why there is none."""

    model = CopyOrder
    serializer_class = CopySerializer
    filterset_class = CopyFilter
    search_fields = ["symbol"]
    ordering_fields = ["planned_at", "symbol", "state"]
    ordering = ["-planned_at"]

    def own_rows(self) -> QuerySet[CopyOrder]:
        return copies_of(self.owner)

    @extend_schema(responses=CopySerializer(many=True))
    def list(self, _request: Request) -> Response:
        page: Any = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        views = copy_views(self.owner, page)
        return self.get_paginated_response(CopySerializer(views, many=True).data)

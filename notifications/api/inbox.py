from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.query import InstantFilter, QueryFilterSet, TruthFilter
from accounts.api.viewsets import OwnedViewSet
from notifications import selectors
from notifications.api.serializers import (
    DeletedSerializer,
    DeliverySerializer,
    NotificationSerializer,
    StatisticsSerializer,
    UpdatedSerializer,
)
from notifications.models import Delivery, Notification
from notifications.services import inbox


class NotificationFilter(QueryFilterSet):
    unread = TruthFilter(
        field_name="read_at",
        lookup_expr="isnull",
        help_text="true: only unread ones; false: only read ones.",
    )
    object_type = filters.CharFilter(max_length=32)
    object_id = filters.CharFilter(max_length=64)
    since = InstantFilter(field_name="created_at", lookup_expr="gte")
    until = InstantFilter(field_name="created_at", lookup_expr="lte")

    class Meta:
        model = Notification
        fields = ["type", "priority"]


class DeliveryFilter(QueryFilterSet):
    class Meta:
        model = Delivery
        fields = ["state", "transport"]


class NotificationViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, OwnedViewSet[Notification]
):
    """What you were told: newest first, each once, however often it happened."""

    model = Notification
    may_refuse = False
    serializer_class = NotificationSerializer
    filterset_class = NotificationFilter
    search_fields = ["title", "body"]
    ordering_fields = ["created_at"]
    ordering = ["-created_at"]

    def own_rows(self) -> QuerySet[Notification]:
        return selectors.list_notifications(user=self.owner)

    def destroy(self, _request: Request, **_ids: object) -> Response:
        """Delete a notification; what is still on its way is not sent any more."""
        inbox.delete_notification(notification=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=NotificationSerializer)
    @action(detail=True, methods=["put"])
    def read(self, _request: Request, **_ids: object) -> Response:
        """Mark a notification as read."""
        notification = inbox.mark_read(notification=self.get_object(), now=timezone.now())
        return Response(NotificationSerializer(notification).data)

    @extend_schema(responses=DeliverySerializer(many=True))
    @action(
        detail=True,
        serializer_class=DeliverySerializer,
        filterset_class=DeliveryFilter,
        filter_backends=[filters.DjangoFilterBackend],
    )
    def deliveries(self, _request: Request, **_ids: object) -> Response:
        """Tell by which channels a notification went out, and how that went."""
        rows: QuerySet[Any] = selectors.deliveries_of(self.get_object())
        page: Any = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(DeliverySerializer(page, many=True).data)

    @extend_schema(request=None, responses=UpdatedSerializer)
    @action(detail=False, methods=["put"], url_path="mark-all-read")
    def mark_all_read(self, _request: Request) -> Response:
        """Mark all your notifications as read."""
        return Response({"updated": inbox.mark_all_read(user=self.owner, now=timezone.now())})

    @extend_schema(request=None, responses={200: DeletedSerializer})
    @action(detail=False, methods=["delete"], url_path="clear-all")
    def clear_all(self, _request: Request) -> Response:
        """Delete all your notifications, read or not, and answer how many there were."""
        return Response({"deleted": inbox.clear_all(user=self.owner)})

    @extend_schema(request=None, responses={200: DeletedSerializer})
    @action(detail=False, methods=["delete"], url_path="clear-read")
    def clear_read(self, _request: Request) -> Response:
        """Delete the notifications that you have read and answer how many there were."""
        return Response({"deleted": inbox.clear_read(user=self.owner)})

    @extend_schema(responses=StatisticsSerializer)
    @action(detail=False, filter_backends=[], pagination_class=None)
    def stats(self, _request: Request) -> Response:
        """Count your notifications."""
        statistics = selectors.get_statistics(user=self.owner, now=timezone.now())
        return Response(StatisticsSerializer(statistics).data)

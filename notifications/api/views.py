from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from notifications import selectors, services
from notifications.api.serializers import (
    DeletedSerializer,
    NotificationQuerySerializer,
    NotificationSerializer,
    StatisticsSerializer,
    UpdatedSerializer,
)
from notifications.models import Notification


class OwnNotifications(generics.GenericAPIView[Notification]):
    serializer_class = NotificationSerializer
    filter_backends = []

    def get_queryset(self) -> QuerySet[Notification]:
        return selectors.list_notifications(user=self.request.user)


class NotificationListView(OwnNotifications):
    @extend_schema(
        parameters=[NotificationQuerySerializer], responses=NotificationSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        """List your notifications, newest first."""
        query = NotificationQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        notifications = selectors.list_notifications(user=request.user, **query.validated_data)
        page = self.paginate_queryset(notifications) or []
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class NotificationDetailView(OwnNotifications, generics.RetrieveDestroyAPIView[Notification]):
    def perform_destroy(self, instance: Notification) -> None:
        services.delete_notification(notification=instance)


class NotificationReadView(OwnNotifications):
    @extend_schema(request=None, responses=NotificationSerializer)
    def put(self, _request: Request, **_ids: object) -> Response:
        """Mark a notification as read."""
        notification = services.mark_read(notification=self.get_object(), now=timezone.now())
        return Response(self.get_serializer(notification).data)


class MarkAllReadView(APIView):
    @extend_schema(request=None, responses=UpdatedSerializer)
    def put(self, request: Request) -> Response:
        """Mark all your notifications as read."""
        updated = services.mark_all_read(user=request.user, now=timezone.now())
        return Response({"updated": updated})


class ClearAllView(APIView):
    @extend_schema(request=None, responses={200: DeletedSerializer})
    def delete(self, request: Request) -> Response:
        """Delete all your notifications, read or not, and answer how many there were."""
        return Response({"deleted": services.clear_all(user=request.user)})


class StatisticsView(APIView):
    @extend_schema(responses=StatisticsSerializer)
    def get(self, request: Request) -> Response:
        """Count your notifications."""
        statistics = selectors.get_statistics(user=request.user, now=timezone.now())
        return Response(StatisticsSerializer(statistics).data)

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin.bases import LedgerAdmin
from notifications.models import Delivery, Notification
from notifications.services.deliveries import send_again


@admin.register(Notification)
class NotificationAdmin(LedgerAdmin[Notification]):
    list_display = [
        "created_at",
        "user",
        "type",
        "priority",
        "title",
        "happened_count",
        "is_hidden",
        "routed_at",
        "read_at",
    ]
    list_select_related = ["user"]
    list_filter = [
        "type",
        "priority",
        ("read_at", admin.EmptyFieldListFilter),
        "is_hidden",
        ("routed_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["title", "body", "object_id", "user__username", "user__email"]
    date_hierarchy = "created_at"


@admin.register(Delivery)
class DeliveryAdmin(LedgerAdmin[Delivery]):
    list_display = [
        "created_at",
        "user",
        "notification",
        "transport",
        "channel_name",
        "state",
        "hold",
        "attempts",
        "next_attempt_at",
        "sent_at",
        "error",
    ]
    list_select_related = ["notification__user"]
    list_filter = ["state", "hold", "transport", "notification__type", "notification__priority"]
    search_fields = [
        "notification__title",
        "notification__user__username",
        "notification__user__email",
        "channel_name",
        "error",
    ]
    date_hierarchy = "created_at"
    actions = ["send_again"]

    @admin.display(ordering="notification__user")
    def user(self, delivery: Delivery) -> str:
        return str(delivery.notification.user)

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Let those send again who may change deliveries, which nobody does by hand."""
        return request.user.has_perm("notifications.change_delivery")

    @admin.action(description="Send again", permissions=["send"])
    def send_again(self, request: HttpRequest, deliveries: QuerySet[Delivery]) -> None:
        """Send what failed, was cancelled or may have got lost once more, by the same channel."""
        chosen = deliveries.count()
        count = send_again(deliveries=deliveries, now=timezone.now())
        if count:
            noun = "delivery goes" if count == 1 else "deliveries go"
            self.message_user(request, f"{count} {noun} out again.", messages.SUCCESS)
        if left := chosen - count:
            noun = "was" if left == 1 else "were"
            self.message_user(
                request,
                f"{left} {noun} left alone: still on the way, or without a channel that works.",
                messages.WARNING,
            )

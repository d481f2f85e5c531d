from django.contrib import admin

from accounts.admin.bases import LedgerAdmin
from notifications.models import Delivery, Notification


@admin.register(Notification)
class NotificationAdmin(LedgerAdmin[Notification]):
    list_display = ["created_at", "user", "type", "priority", "title", "read_at"]
    list_select_related = ["user"]
    list_filter = ["type", "priority", ("read_at", admin.EmptyFieldListFilter)]
    search_fields = ["title", "body", "user__username", "user__email"]
    date_hierarchy = "created_at"


@admin.register(Delivery)
class DeliveryAdmin(LedgerAdmin[Delivery]):
    list_display = ["notification", "transport", "state", "attempts", "next_attempt_at", "error"]
    list_select_related = ["notification"]
    list_filter = ["state", "transport"]
    search_fields = ["notification__title", "notification__user__username", "error"]
    date_hierarchy = "updated_at"

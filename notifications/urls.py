from django.urls import path

from notifications.views import channels, inbox

urlpatterns = [
    path("notifications", inbox.notification_list, name="notification-list"),
    path("notifications/latest", inbox.notification_latest, name="notification-latest"),
    path("notifications/read", inbox.notification_read_all, name="notification-read-all"),
    path("notifications/clear", inbox.notification_clear_read, name="notification-clear-read"),
    path(
        "notifications/<uuid:notification_id>/open",
        inbox.notification_open,
        name="notification-open",
    ),
    path(
        "notifications/<uuid:notification_id>/read",
        inbox.notification_read,
        name="notification-read",
    ),
    path(
        "notifications/<uuid:notification_id>/delete",
        inbox.notification_delete,
        name="notification-delete",
    ),
    path(
        "notifications/<uuid:notification_id>/deliveries",
        inbox.notification_deliveries,
        name="notification-deliveries",
    ),
    path("notifications/channels", channels.channel_list, name="channel-list"),
]

from django.urls import path

from notifications.views import channels, inbox, preferences, push

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
    path("notifications/preferences", preferences.preferences, name="notification-preferences"),
    path("notifications/preferences/quiet", preferences.preferences_quiet, name="quiet-sentence"),
    path(
        "notifications/preferences/reset", preferences.preferences_reset, name="preferences-reset"
    ),
    path(
        "notifications/preferences/test/<slug:transport>",
        preferences.preferences_test,
        name="preferences-test",
    ),
    path("notifications/channels", channels.channel_list, name="channel-list"),
    # The transport is named by ?transport=.
    path("notifications/channels/add", channels.channel_add, name="channel-add"),
    path(
        "notifications/channels/<uuid:channel_id>/edit",
        channels.channel_update,
        name="channel-update",
    ),
    path(
        "notifications/channels/<uuid:channel_id>/delete",
        channels.channel_delete,
        name="channel-delete",
    ),
    path(
        "notifications/channels/<uuid:channel_id>/test", channels.channel_test, name="channel-test"
    ),
    path(
        "notifications/channels/<uuid:channel_id>/on",
        channels.channel_switch_on,
        name="channel-switch-on",
    ),
    # From the root, since a service worker serves what lies below its own address.
    path("service-worker.js", push.service_worker, name="service-worker"),
    path("notifications/push", push.push_subscription, name="push-subscription"),
    path("notifications/push/state", push.push_state, name="push-state"),
    path("notifications/push/off", push.push_off, name="push-off"),
]

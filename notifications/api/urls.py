from django.urls import path
from rest_framework.routers import SimpleRouter

from notifications.api.channels import ChannelViewSet, TransportsView
from notifications.api.inbox import NotificationViewSet
from notifications.api.preferences import PreferenceViewSet, SettingsViewSet

router = SimpleRouter(trailing_slash=False)
# Before the notifications, whose ids would match the words.
router.register("notifications/preferences", PreferenceViewSet, basename="preference")
router.register("notifications/channels", ChannelViewSet, basename="channel")
router.register("notifications", NotificationViewSet, basename="notification")

urlpatterns = [
    path("notifications/transports", TransportsView.as_view(), name="transport-list"),
    path(
        "notifications/settings",
        SettingsViewSet.as_view({"get": "retrieve", "put": "update", "patch": "partial_update"}),
        name="notification-settings",
    ),
    *router.urls,
]

from django.urls import path

from notifications import views

urlpatterns = [
    path("notifications", views.notification_list, name="notification-list"),
    path("notifications/latest", views.notification_latest, name="notification-latest"),
    path("notifications/read", views.notification_read_all, name="notification-read-all"),
    path(
        "notifications/<uuid:notification_id>/open",
        views.notification_open,
        name="notification-open",
    ),
]

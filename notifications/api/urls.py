from django.urls import path

from notifications.api import views

urlpatterns = [
    path("notifications", views.NotificationListView.as_view(), name="notification-list"),
    path(
        "notifications/mark-all-read",
        views.MarkAllReadView.as_view(),
        name="notification-mark-all-read",
    ),
    path("notifications/clear-all", views.ClearAllView.as_view(), name="notification-clear-all"),
    path("notifications/stats", views.StatisticsView.as_view(), name="notification-stats"),
    path(
        "notifications/<uuid:pk>",
        views.NotificationDetailView.as_view(),
        name="notification-detail",
    ),
    path(
        "notifications/<uuid:pk>/read",
        views.NotificationReadView.as_view(),
        name="notification-read",
    ),
]

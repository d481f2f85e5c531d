from django.urls import path

from tradeguard.health import views

urlpatterns = [
    path("health", views.live, name="health"),
    path("health/ready", views.ready, name="health-ready"),
    path("metrics", views.metrics, name="metrics"),
]

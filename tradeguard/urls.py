from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView
from drf_spectacular.views import (
    SpectacularAPIView,
    SpectacularRedocView,
    SpectacularSwaggerSplitView,
)

api_patterns = [
    # Before the accounts, whose ids would match the words of accounts/close-all.
    path("", include("risk.api.urls")),
    path("", include("accounts.api.urls")),
    path("", include("groups.api.urls")),
    path("", include("copytrade.api.urls")),
    path("", include("notifications.api.urls")),
]

# The two readers of the API's description style themselves; Redoc also searches in a worker.
relaxed = csp_update({"style-src": [SELF, UNSAFE_INLINE], "worker-src": [SELF, "blob:"]})

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="group-list"), name="home"),
    # Pages that we do not write, the admin and the API's description, name no icon of their own.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}icons/shield.svg")),
    path("", include("accounts.entrance_urls")),
    path("", include("accounts.urls")),
    path("", include("groups.urls")),
    path("", include("risk.urls")),
    path("", include("copytrade.urls")),
    path("", include("notifications.urls")),
    path("", include("tradeguard.health.urls")),
    path("api/v1/", include((api_patterns, "api"))),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path(
        "docs",
        require_safe(relaxed(SpectacularSwaggerSplitView.as_view(url_name="schema"))),
        name="docs",
    ),
    path(
        "redoc",
        require_safe(
            relaxed(SpectacularRedocView.as_view(url_name="schema", template_name="redoc.html"))
        ),
        name="redoc",
    ),
    path("admin/", admin.site.urls),
]

handler404 = "tradeguard.error_views.not_found"
handler500 = "tradeguard.error_views.failed"

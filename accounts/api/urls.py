from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api.auth import RefreshView, RegisterView, RevokeView, TokenView
from accounts.api.keys import KeyViewSet
from accounts.api.views import AccountViewSet

router = SimpleRouter(trailing_slash=False)
router.register("accounts", AccountViewSet, basename="account")
router.register("api-keys", KeyViewSet, basename="api-key")

urlpatterns = [
    path("auth/register", RegisterView.as_view(), name="register"),
    path("auth/token", TokenView.as_view(), name="token"),
    path("auth/token/refresh", RefreshView.as_view(), name="token-refresh"),
    path("auth/token/revoke", RevokeView.as_view(), name="token-revoke"),
    *router.urls,
]

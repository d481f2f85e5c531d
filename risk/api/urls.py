from django.urls import path
from rest_framework.routers import SimpleRouter

from risk.api import live
from risk.api.views import BreachViewSet, RuleViewSet

router = SimpleRouter(trailing_slash=False)
# Before the rules, whose ids would match the word.
router.register("risk-rules/breaches", BreachViewSet, basename="breach")
router.register("risk-rules", RuleViewSet, basename="risk-rule")

urlpatterns = [
    *router.urls,
    path("accounts/<str:pk>/status", live.AccountStatusView.as_view(), name="account-status"),
    path(
        "accounts/<str:pk>/positions", live.AccountPositionsView.as_view(), name="account-positions"
    ),
    path("accounts/<str:pk>/risk", live.AccountRiskView.as_view(), name="account-risk"),
    path("groups/<str:pk>/risk", live.GroupRiskView.as_view(), name="group-risk"),
]

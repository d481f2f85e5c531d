from django.urls import path
from rest_framework.routers import SimpleRouter

from risk.api import enforcement, live, orders
from risk.api.dry_run import RuleTestView
from risk.api.enforcement import EnforcementViewSet
from risk.api.news import NewsViewSet
from risk.api.portfolio import PortfolioRiskView
from risk.api.presets import GroupTemplateViewSet, PresetViewSet
from risk.api.sizing import PositionSizeView
from risk.api.views import BreachViewSet, RuleViewSet

router = SimpleRouter(trailing_slash=False)
# Before the rules, whose ids would match the word.
router.register("risk-rules/breaches", BreachViewSet, basename="breach")
router.register("risk-rules/enforcements", EnforcementViewSet, basename="enforcement")
router.register("risk-rules/presets", PresetViewSet, basename="preset")
router.register("risk-rules", RuleViewSet, basename="risk-rule")
router.register("group-templates", GroupTemplateViewSet, basename="group-template")

# The addresses that the router cannot make: no row of their own, or one of another app.
urlpatterns = [
    path("accounts/close-all", enforcement.CloseAllView.as_view(), name="accounts-close-all"),
    path(
        "news-events",
        NewsViewSet.as_view({"get": "list", "post": "create", "delete": "destroy_all"}),
        name="news-event-list",
    ),
    path(
        "news-events/coverage",
        NewsViewSet.as_view({"get": "coverage"}, filter_backends=[], pagination_class=None),
        name="news-event-coverage",
    ),
    path("risk-rules/test", RuleTestView.as_view(), name="risk-rule-test"),
    path(
        "risk-rules/calculate-position-size",
        PositionSizeView.as_view(),
        name="risk-rule-position-size",
    ),
    path("risk-rules/portfolio-risk", PortfolioRiskView.as_view(), name="risk-rule-portfolio-risk"),
    *router.urls,
    path("accounts/<str:pk>/status", live.AccountStatusView.as_view(), name="account-status"),
    path(
        "accounts/<str:pk>/positions", live.AccountPositionsView.as_view(), name="account-positions"
    ),
    path("accounts/<str:pk>/risk", live.AccountRiskView.as_view(), name="account-risk"),
    path(
        "accounts/<str:pk>/close-all",
        enforcement.AccountCloseAllView.as_view(),
        name="account-close-all",
    ),
    path("accounts/<str:pk>/orders", orders.OrdersView.as_view(), name="account-orders"),
    path(
        "accounts/<str:pk>/orders/preview",
        orders.OrderPreviewView.as_view(),
        name="account-order-preview",
    ),
    path("accounts/<str:pk>/orders/<str:ticket>", orders.OrderView.as_view(), name="account-order"),
    path(
        "accounts/<str:pk>/positions/<str:ticket>",
        orders.PositionView.as_view(),
        name="account-position",
    ),
    path(
        "accounts/<str:pk>/positions/<str:ticket>/close",
        orders.PositionCloseView.as_view(),
        name="account-position-close",
    ),
    path("accounts/<str:pk>/unlock", enforcement.UnlockView.as_view(), name="account-unlock"),
    path(
        "groups/<str:pk>/close-all",
        enforcement.GroupCloseAllView.as_view(),
        name="group-close-all",
    ),
    path("groups/<str:pk>/risk", live.GroupRiskView.as_view(), name="group-risk"),
]

from django.urls import include, path

from risk.views import live

urlpatterns = [
    path("groups/cards", live.group_cards, name="group-cards"),
    path("groups/<uuid:group_id>/risk-panel", live.group_panel, name="group-risk-panel"),
    path("accounts/statuses", live.account_statuses, name="account-statuses"),
    path("accounts/<uuid:account_id>/risk-panel", live.account_panel, name="account-risk-panel"),
    path("accounts/<uuid:account_id>/consequences", live.consequences, name="account-consequences"),
    path("", include("risk.rule_urls")),
    path("", include("risk.trading_urls")),
]

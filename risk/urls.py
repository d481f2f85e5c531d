from django.urls import include, path

from risk.views import live, rules

urlpatterns = [
    path("groups/cards", live.group_cards, name="group-cards"),
    path("groups/<uuid:group_id>/risk-panel", live.group_panel, name="group-risk-panel"),
    path("accounts/statuses", live.account_statuses, name="account-statuses"),
    path("accounts/<uuid:account_id>/risk-panel", live.account_panel, name="account-risk-panel"),
    path("accounts/<uuid:account_id>/consequences", live.consequences, name="account-consequences"),
    path("rules", rules.rule_list, name="rule-list"),
    path("rules/new", rules.rule_create, name="rule-create"),
    path("rules/fields", rules.rule_fields, name="rule-fields"),
    path("rules/preview", rules.rule_preview, name="rule-preview"),
    path("rules/<uuid:rule_id>/edit", rules.rule_update, name="rule-update"),
    path("rules/<uuid:rule_id>/delete", rules.rule_delete, name="rule-delete"),
    path(
        "rules/<uuid:rule_id>/accounts/<uuid:account_id>/acknowledge",
        rules.rule_acknowledge,
        name="rule-acknowledge",
    ),
    path("", include("risk.trading_urls")),
]

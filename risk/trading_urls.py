"""The pages on which something is traded, closed, locked or armed."""

from django.urls import path

from risk.views import arming, enforcement, notices

urlpatterns = [
    path("standing", enforcement.standing, name="standing"),
    path("close-all", enforcement.close_everything, name="close-all"),
    path("close-all/runs", enforcement.runs, name="runs"),
    path(
        "accounts/<uuid:account_id>/close-all", enforcement.close_account, name="account-close-all"
    ),
    path("groups/<uuid:group_id>/close-all", enforcement.close_group, name="group-close-all"),
    path("accounts/<uuid:account_id>/unlock", enforcement.account_unlock, name="account-unlock"),
    path(
        "accounts/<uuid:account_id>/enforcements",
        enforcement.account_enforcements,
        name="account-enforcements",
    ),
    path("accounts/<uuid:account_id>/notices", notices.notices, name="account-notices"),
    path("accounts/<uuid:account_id>/arming", arming.account_arming, name="account-arming"),
    path("accounts/<uuid:account_id>/arming/hint", arming.arming_hint, name="account-arming-hint"),
    path("rules/<uuid:rule_id>/arming", arming.rule_arming, name="rule-arming"),
]

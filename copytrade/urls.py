from django.urls import path

from copytrade.views import account_parts, cascades, ledger, lists, offers, relationships, states

urlpatterns = [
    path("copying", lists.relationship_list, name="copying"),
    path("copying/new", offers.relationship_create, name="copying-create"),
    path("copying/review", offers.relationship_review, name="copying-review"),
    path("copying/example", offers.example, name="copying-example"),
    path("copying/ledger", ledger.ledger_page, name="copying-ledger"),
    path("copying/ledger/rows", ledger.ledger_rows, name="copying-ledger-rows"),
    path("copying/events/<uuid:event_id>", ledger.event_page, name="copying-event"),
    path("copying/metrics", lists.metrics_page, name="copying-metrics"),
    path("copying/providers/<uuid:account_id>", lists.provider_page, name="copying-provider"),
    path("copying/providers/<uuid:account_id>/group", lists.provider_group, name="copying-group"),
    path(
        "copying/providers/<uuid:account_id>/cascades",
        cascades.provider_cascades,
        name="copying-provider-cascades",
    ),
    path(
        "copying/<uuid:relationship_id>",
        relationships.relationship_detail,
        name="copying-relationship",
    ),
    path(
        "copying/<uuid:relationship_id>/head", relationships.relationship_head, name="copying-head"
    ),
    path(
        "copying/<uuid:relationship_id>/cascades",
        cascades.relationship_cascades,
        name="copying-cascades",
    ),
    path(
        "copying/<uuid:relationship_id>/example",
        relationships.relationship_example,
        name="copying-relationship-example",
    ),
    path(
        "copying/<uuid:relationship_id>/edit",
        relationships.relationship_update,
        name="copying-edit",
    ),
    path("copying/<uuid:relationship_id>/accept", states.accept_offer, name="copying-accept"),
    path("copying/<uuid:relationship_id>/decline", states.decline_offer, name="copying-decline"),
    path("copying/<uuid:relationship_id>/end", states.end, name="copying-end"),
    path("copying/<uuid:relationship_id>/<slug:change>", states.hold, name="copying-hold"),
    path(
        "accounts/<uuid:account_id>/copying", account_parts.account_copying, name="account-copying"
    ),
]

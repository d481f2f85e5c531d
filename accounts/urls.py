from django.urls import path

from accounts.views import account_pages, accounts, keys, switches

urlpatterns = [
    path("accounts", accounts.account_list, name="account-list"),
    path("accounts/new", accounts.account_create, name="account-create"),
    path("accounts/greeting", account_pages.account_greeting, name="account-greeting"),
    path("accounts/connect-all", switches.accounts_connect, name="accounts-connect"),
    path("accounts/disconnect-all", switches.accounts_disconnect, name="accounts-disconnect"),
    path("accounts/<uuid:account_id>", account_pages.account_detail, name="account-detail"),
    path("accounts/<uuid:account_id>/edit", accounts.account_update, name="account-update"),
    path("accounts/<uuid:account_id>/delete", accounts.account_delete, name="account-delete"),
    path("accounts/<uuid:account_id>/connect", switches.account_connect, name="account-connect"),
    path(
        "accounts/<uuid:account_id>/disconnect",
        switches.account_disconnect,
        name="account-disconnect",
    ),
    path("accounts/<uuid:account_id>/activate", switches.account_activate, name="account-activate"),
    path(
        "accounts/<uuid:account_id>/deactivate",
        switches.account_deactivate,
        name="account-deactivate",
    ),
    path(
        "accounts/<uuid:account_id>/set-default",
        switches.account_set_default,
        name="account-set-default",
    ),
    path(
        "accounts/<uuid:account_id>/connection",
        account_pages.account_connection,
        name="account-connection",
    ),
    path(
        "accounts/<uuid:account_id>/connection-log",
        account_pages.account_connection_log,
        name="account-connection-log",
    ),
    path("accounts/<uuid:account_id>/health", account_pages.account_health, name="account-health"),
    path("accounts/<uuid:account_id>/equity", account_pages.account_equity, name="account-equity"),
    path("accounts/<uuid:account_id>/deals", account_pages.account_deals, name="account-deals"),
    path(
        "accounts/<uuid:account_id>/deals/latest",
        account_pages.account_latest_deals,
        name="account-deals-latest",
    ),
    path("keys", keys.key_list, name="key-list"),
    path("keys/new", keys.key_create, name="key-create"),
    path("keys/<uuid:key_id>", keys.key_detail, name="key-detail"),
    path("keys/<uuid:key_id>/edit", keys.key_update, name="key-update"),
    path("keys/<uuid:key_id>/rotate", keys.key_rotate, name="key-rotate"),
    path("keys/<uuid:key_id>/verify", keys.key_verify, name="key-verify"),
    path("keys/<uuid:key_id>/verification", keys.key_verification, name="key-verification"),
    path("keys/<uuid:key_id>/revoke", keys.key_revoke, name="key-revoke"),
    path("keys/<uuid:key_id>/audit", keys.key_audit, name="key-audit"),
]

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from accounts.forms.users import SignInForm
from accounts.views import accounts, users

urlpatterns = [
    path(
        "login",
        LoginView.as_view(authentication_form=SignInForm, redirect_authenticated_user=True),
        name="login",
    ),
    path("logout", LogoutView.as_view(), name="logout"),
    path("register", users.register, name="register"),
    path("settings", users.settings, name="settings"),
    path("settings/password", users.change_password, name="change-password"),
    path("accounts", accounts.account_list, name="account-list"),
    path("accounts/new", accounts.account_create, name="account-create"),
    path("accounts/cells", accounts.account_cells, name="account-cells"),
    path("accounts/<uuid:account_id>", accounts.account_detail, name="account-detail"),
    path("accounts/<uuid:account_id>/edit", accounts.account_update, name="account-update"),
    path("accounts/<uuid:account_id>/delete", accounts.account_delete, name="account-delete"),
    path("accounts/<uuid:account_id>/connect", accounts.account_connect, name="account-connect"),
    path(
        "accounts/<uuid:account_id>/disconnect",
        accounts.account_disconnect,
        name="account-disconnect",
    ),
    path(
        "accounts/<uuid:account_id>/connection",
        accounts.account_connection,
        name="account-connection",
    ),
]

"""Ways in and what a user sets up about them.

django-allauth looks its pages up under names of its own; each is an address of ours.
"""

from allauth.account import views as account_views
from django.contrib.auth.views import LogoutView
from django.urls import path, re_path

from accounts.views import entrance, sign_ins, users

sign_in, sign_out = entrance.SignInView.as_view(), LogoutView.as_view()

urlpatterns = [
    path("login", sign_in, name="login"),
    path("login", sign_in, name="account_login"),
    path("login/code", entrance.CodeView.as_view(), name="mfa_authenticate"),
    path("login/inactive", account_views.account_inactive, name="account_inactive"),
    path("logout", sign_out, name="logout"),
    path("logout", sign_out, name="account_logout"),
    path("register", users.register, name="register"),
    path("register", users.register, name="account_signup"),
    path(
        "email/sent", account_views.email_verification_sent, name="account_email_verification_sent"
    ),
    re_path(
        r"^email/confirm/(?P<key>[-:\w]+)$",
        account_views.confirm_email,
        name="account_confirm_email",
    ),
    path("password/reset", entrance.ForgottenView.as_view(), name="account_reset_password"),
    path(
        "password/reset/sent", account_views.password_reset_done, name="account_reset_password_done"
    ),
    path(
        "password/reset/done",
        account_views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)$",
        entrance.NewPasswordView.as_view(),
        name="account_reset_password_from_key",
    ),
    path("confirm/password", entrance.PasswordAgainView.as_view(), name="account_reauthenticate"),
    path("confirm/code", entrance.CodeAgainView.as_view(), name="mfa_reauthenticate"),
    path("settings", users.settings, name="settings"),
    path("settings/email", users.change_email, name="change-email"),
    path("settings/email", users.change_email, name="account_email"),
    path("settings/password", users.change_password, name="change-password"),
    path("settings/password", users.change_password, name="account_change_password"),
    path("settings/two-factor", sign_ins.two_factor, name="two-factor"),
    path("settings/two-factor", sign_ins.two_factor, name="mfa_index"),
    path("settings/two-factor/on", entrance.ActivateView.as_view(), name="mfa_activate_totp"),
    path("settings/two-factor/off", entrance.DeactivateView.as_view(), name="mfa_deactivate_totp"),
    path(
        "settings/two-factor/codes",
        entrance.RecoveryCodesView.as_view(),
        name="mfa_view_recovery_codes",
    ),
    path(
        "settings/two-factor/codes/new",
        entrance.NewRecoveryCodesView.as_view(),
        name="mfa_generate_recovery_codes",
    ),
    path("settings/sessions", sign_ins.sessions, name="sessions"),
    path("settings/sessions", sign_ins.sessions, name="usersessions_list"),
    path("settings/sessions/end-others", sign_ins.end_others, name="sessions-end-others"),
    path("settings/sessions/browser/<int:row_id>/end", sign_ins.end_browser, name="browser-end"),
    path("settings/sessions/program/<uuid:row_id>/end", sign_ins.end_program, name="program-end"),
]

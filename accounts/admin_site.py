"""The administration behind the sign-in of everybody else, and a second factor."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from accounts.second_factor import has_second_factor, was_second_factor_shown


class Administration(AdminSite):
    site_header = "TradeGuard administration"
    site_title = "TradeGuard"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let staff in who have shown their second factor in this session."""
        return super().has_permission(request) and was_second_factor_shown(request)

    def password_change(
        self,
        request: HttpRequest,  # noqa: ARG002
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """Change it where everybody does: there, guesses of the present one are counted."""
        return redirect("settings")

    @method_decorator(never_cache)
    def login(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Lead to what is missing: the sign-in, a second factor, or showing it."""
        index = reverse(f"{self.name}:index")
        target = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(target, allowed_hosts=None):
            target = index
        if not request.user.is_authenticated:
            return redirect_to_login(target, resolve_url("login"))
        if not super().has_permission(request):
            raise PermissionDenied
        if self.has_permission(request):
            return redirect(target)
        if has_second_factor(request.user):
            return redirect_to_login(target, reverse("mfa_reauthenticate"))
        messages.warning(
            request, "Administration needs two-factor sign-in. Set it up, then open it again."
        )
        return redirect_to_login(target, reverse("mfa_activate_totp"))

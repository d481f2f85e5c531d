from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.attempts import refused_attempt
from accounts.forms.users import PasswordForm, ProfileForm, RegisterForm, zone_names
from accounts.services.profile import update_profile
from accounts.services.users import register_user
from accounts.views.lookups import signed_in

BACKEND = "django.contrib.auth.backends.ModelBackend"


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("group-list")
    form = RegisterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _refuse_many(request)
            user = register_user(**form.cleaned_data)
        except ValidationError as error:
            form.take_error(error)
        else:
            login(request, user, backend=BACKEND)
            messages.success(request, f"Welcome, {user.username}. Add your first account.")
            return redirect("account-list")
    return render(request, "registration/register.html", {"form": form, "zone_names": zone_names()})


@login_required
@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = ProfileForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        try:
            update_profile(user=user, **form.cleaned_data)
        except ValidationError as error:
            form.take_error(error)
        else:
            messages.success(request, "Your settings are saved.")
            return redirect("settings")
    return _settings_page(request, form, PasswordForm(user))


@sensitive_post_parameters()
@login_required
@require_POST
def change_password(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    if (refusal := refused_attempt(request)) is not None:
        messages.error(request, refusal)
        return redirect("settings")
    form = PasswordForm(user, request.POST)
    if form.is_valid():
        update_session_auth_hash(request, form.save())
        messages.success(request, "Your password is changed.")
        return redirect("settings")
    return _settings_page(request, ProfileForm(instance=user), form)


def _refuse_many(request: HttpRequest) -> None:
    if (refusal := refused_attempt(request)) is not None:
        raise ValidationError(refusal, code="throttled")


def _settings_page(
    request: HttpRequest, form: ProfileForm, password_form: PasswordForm
) -> HttpResponse:
    context = {"form": form, "password_form": password_form, "zone_names": zone_names()}
    return render(request, "accounts/settings.html", context)

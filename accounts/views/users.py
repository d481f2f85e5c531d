"""Registering and the settings of oneself."""

from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.internal.flows.manage_email import emit_email_changed
from allauth.account.internal.flows.password_change import finalize_password_change
from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.account.internal.flows.signup import prevent_enumeration
from allauth.account.models import EmailAddress
from allauth.account.utils import complete_signup
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.attempts import Attempt
from accounts.forms.users import EmailForm, PasswordForm, ProfileForm, RegisterForm, zone_names
from accounts.models import User
from accounts.second_factor import has_second_factor
from accounts.services.profile import ask_for_email, set_email, update_profile
from accounts.services.users import change_password as change_users_password
from accounts.services.users import register_user, without_taken_email
from accounts.verification import are_emails_verified
from accounts.views.lookups import signed_in


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("group-list")
    form = RegisterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return _register(request, form)
        except ValidationError as error:
            form.take_error(error)
    return render(request, "registration/register.html", {"form": form, "zone_names": zone_names()})


def _register(request: HttpRequest, form: RegisterForm) -> HttpResponse:
    if (refusal := Attempt.of_address(request).refusal()) is not None:
        raise ValidationError(refusal, code="throttled")
    try:
        user = register_user(**form.cleaned_data)
    except ValidationError as error:
        if not are_emails_verified():
            raise
        if (told := without_taken_email(error)) is not None:
            raise told from None
        # Who has the address learns of it by mail; who asks sees what they would see anyway.
        answer: HttpResponse = prevent_enumeration(
            request, email=form.cleaned_data["email"].lower()
        )
        return answer
    welcome = f"Welcome, {user.username}. Add your first account."
    answer = complete_signup(request, user=user, email_verification=None, success_url=_start())
    if request.user.is_authenticated:
        messages.success(request, welcome)
    return answer


def _start() -> str:
    return reverse("account-list")


@login_required
@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = ProfileForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        try:
            update_profile(user=user, now=timezone.now(), **form.cleaned_data)
        except ValidationError as error:
            form.take_error(error)
        else:
            messages.success(request, "Your settings are saved.")
            return redirect("settings")
    return _settings_page(request, profile=form)


@login_required
@require_http_methods(["GET", "POST"])
def change_email(request: HttpRequest) -> HttpResponse:
    """Change the address of who has typed the password or a code a moment ago."""
    user = signed_in(request)
    raise_if_reauthentication_required(request, app="allauth.account")
    form = EmailForm(request.POST or None, initial={"email": user.email})
    if request.method == "POST" and form.is_valid():
        try:
            _change_email(request, user, form.cleaned_data["email"])
        except ValidationError as error:
            form.take_error(error)
        else:
            return redirect("settings")
    context = {"form": form, "is_verified": are_emails_verified()}
    return render(request, "accounts/email.html", context)


def _change_email(request: HttpRequest, user: User, email: str) -> None:
    wanted = email.lower()
    if wanted == user.email:
        messages.info(request, "This is your address already.")
        return
    if not are_emails_verified():
        before = EmailAddress(user=user, email=user.email)
        address = set_email(user=user, email=wanted)
        emit_email_changed(request, before, address)
        send_verification_email_to_address(request, address)
        messages.success(request, f"Your address is {address.email} now.")
        return
    if (waiting := ask_for_email(user=user, email=wanted)) is not None:
        send_verification_email_to_address(request, waiting)
    messages.success(
        request, f"Open the link in the mail to {wanted}. Until then {user.email} stays yours."
    )


@sensitive_post_parameters()
@login_required
@require_POST
def change_password(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    attempt = Attempt.at_password(request, user.get_username())
    if (refusal := attempt.refusal()) is not None:
        messages.error(request, refusal)
        return redirect("settings")
    form = PasswordForm(user, request.POST)
    if "old_password" not in form.errors:
        attempt.forgive()
    if not form.is_valid():
        return _settings_page(request, password=form)
    change_users_password(
        user=user,
        password=form.cleaned_data["new_password1"],
        now=timezone.now(),
        but_session=request.session.session_key,
    )
    finalize_password_change(request, user)
    messages.success(request, "Your password is changed. All else that was signed in is not now.")
    return redirect("settings")


def _settings_page(
    request: HttpRequest,
    profile: ProfileForm | None = None,
    password: PasswordForm | None = None,
) -> HttpResponse:
    user = signed_in(request)
    context = {
        "form": profile or ProfileForm(instance=user),
        "password_form": password or PasswordForm(user),
        "zone_names": zone_names(),
        "has_second_factor": has_second_factor(user),
    }
    return render(request, "accounts/settings.html", context)

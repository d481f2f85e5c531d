"""What a user is told, by which ways, and when."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect, reswap, trigger_client_event

from accounts.models import User
from accounts.refusals import Refusal
from accounts.views.lookups import signed_in
from accounts.views.modals import is_htmx, render_framed
from notifications.forms.preferences import DeliverySettingsForm, MatrixForm, QuietForm
from notifications.models import Channel, DeliverySettings
from notifications.screen.channels import is_mail_unsent
from notifications.screen.quiet import quiet_sentence
from notifications.selectors.preferences import preference_matrix, settings_of
from notifications.services.channels import EMAIL, ensure_email_channels, test_channel
from notifications.services.delivery_settings import update_settings
from notifications.services.preferences import set_defaults, set_matrix
from notifications.transports import transports
from notifications.views.channels import OUTCOME, outcome_context


@login_required
@require_http_methods(["GET", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    settings, data = settings_of(user), request.POST or None
    matrix_form = MatrixForm(preference_matrix(user), data)
    settings_form = DeliverySettingsForm(settings, data)
    is_complete = matrix_form.is_valid() and settings_form.is_valid()
    if data and is_complete and _save(user, matrix_form, settings_form):
        return _saved(request)
    context = {
        "form": matrix_form,
        "settings_form": settings_form,
        "has_errors": bool(matrix_form.errors or settings_form.errors),
        "quiet": _quiet(user, settings),
        "missing": _missing(matrix_form),
        "is_mail_unsent": is_mail_unsent(),
    }
    return render(request, "notifications/preferences.html", context)


@login_required
@require_safe
def preferences_quiet(request: HttpRequest) -> HttpResponse:
    """Say what the quiet hours that are being typed would mean right now."""
    user, form = signed_in(request), QuietForm(request.GET)
    if not form.is_valid():
        return HttpResponse("Write times like 22:00.")
    hours = DeliverySettings(user=user, **form.cleaned_data)
    return HttpResponse(_quiet(user, hours), content_type="text/plain; charset=utf-8")


@login_required
@require_POST
def preferences_test(request: HttpRequest, transport: str) -> HttpResponse:
    """Send a test by each of the user's channels of a transport, and show how they went."""
    user = signed_in(request)
    if transport == EMAIL:
        ensure_email_channels([user.pk])
    own = Channel.objects.owned_by(user).filter(transport=transport).defer("credentials")
    if transport not in transports() or not own:
        raise Http404
    if is_htmx(request):
        return HttpResponse("".join(_tested(request, channel) for channel in own))
    for channel in own:
        try:
            test_channel(channel=channel, now=timezone.now())
        except Refusal as refusal:
            messages.error(request, refusal.sentence)
        else:
            messages.success(request, f"A test is on its way by “{channel.name}”.")
    return redirect("notification-preferences")


@login_required
@require_http_methods(["GET", "POST"])
def preferences_reset(request: HttpRequest) -> HttpResponse:
    """Set every type back to how it is told by default, after asking once."""
    if request.method == "GET":
        return render_framed(request, "notifications/preferences_reset.html", {})
    set_defaults(user=signed_in(request))
    messages.success(request, "Every type is told as it is by default again.")
    if is_htmx(request):
        return HttpResponseClientRedirect(reverse("notification-preferences"))
    return redirect("notification-preferences")


def _tested(request: HttpRequest, channel: Channel) -> str:
    context: dict[str, object] = {"channel": channel, "is_brief": True}
    try:
        context |= outcome_context(test_channel(channel=channel, now=timezone.now()))
    except Refusal as refusal:
        context["refusal"] = refusal.sentence
    return render_to_string(OUTCOME, context, request)


def _save(user: User, matrix_form: MatrixForm, settings_form: DeliverySettingsForm) -> bool:
    """Save both or neither; what a service refuses is marked at its field."""
    form: MatrixForm | DeliverySettingsForm = matrix_form
    try:
        with transaction.atomic():
            if changes := matrix_form.changes():
                set_matrix(user=user, choices=changes)
            form = settings_form
            if changed := settings_form.changed_data:
                cleaned = settings_form.cleaned_data
                update_settings(
                    user=user, now=timezone.now(), **{name: cleaned[name] for name in changed}
                )
    except ValidationError as error:
        form.take_error(error)
        return False
    return True


def _saved(request: HttpRequest) -> HttpResponse:
    messages.success(request, "Saved.")
    if not is_htmx(request):
        return redirect("notification-preferences")
    # The page stays as it is, down to where it was scrolled.
    answer = render(request, "toasts.html", {"messages": messages.get_messages(request)})
    return reswap(trigger_client_event(answer, "edits-saved"), "none")


def _quiet(user: User, settings: DeliverySettings) -> str:
    return quiet_sentence(
        now=timezone.now(),
        zone=user.time_zone,
        begins=settings.quiet_from,
        ends=settings.quiet_until,
    )


def _missing(form: MatrixForm) -> list[object]:
    """Return the transports that the user could add."""
    there = {column.name for column in form.columns}
    return [each for each in transports().values() if each.name not in there]

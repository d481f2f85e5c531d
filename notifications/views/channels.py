"""The ways to reach a user: added, tested, renamed, switched on again, deleted."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.origin import Origin
from accounts.refusals import Refusal
from accounts.views.lookups import signed_in
from accounts.views.modals import is_htmx, render_framed
from notifications.delivering.transport import Transport
from notifications.forms.channels import ChannelForm
from notifications.models import Channel, Delivery
from notifications.screen.channels import (
    addable_transports,
    channel_card,
    channel_cards,
    steps_templates,
)
from notifications.screen.deliveries import delivery_line
from notifications.services.channels import (
    EMAIL,
    MOST_CHANNELS,
    add_channel,
    delete_channel,
    generated_credentials,
    test_channel,
    update_channel,
)
from notifications.services.switching import switch_on
from notifications.transports import transports

OUTCOME = "notifications/channel_test.html"
BRIEF = "brief"  # in the query: the outcome without how the channel does
TEST_WATCHED_SECONDS = 60
LONGEST_NUMBER = 18  # digits


@login_required
@require_safe
def channel_list(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    cards = channel_cards(user)
    context = {
        "cards": cards,
        "transports": addable_transports(),
        "is_full": len(cards) >= MOST_CHANNELS,
    }
    return render(request, "notifications/channels.html", context)


@sensitive_post_parameters()
@sensitive_variables()
@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def channel_add(request: HttpRequest) -> HttpResponse:
    """Add a channel of the transport that `?transport=` names."""
    offered = {each.name: each for each in addable_transports()}
    transport = offered.get(request.GET.get("transport", ""))
    if transport is None:
        return redirect("channel-list")
    form = ChannelForm(transport, request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.credentials()
        try:
            channel = add_channel(
                user=signed_in(request),
                transport=transport.name,
                name=form.cleaned_data["name"],
                credentials=given,
                now=timezone.now(),
                origin=Origin.of_request(request),
            )
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            return _added(request, channel, given)
    return render_framed(request, "notifications/channel_add.html", _form_context(form, transport))


@sensitive_post_parameters()
@sensitive_variables()
@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def channel_update(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    channel = own_channel(request, channel_id)
    transport = transports()[channel.transport]
    form = ChannelForm(transport, request.POST or None, channel=channel)
    if request.method == "POST" and form.is_valid():
        try:
            update_channel(
                channel=channel,
                name=form.cleaned_data["name"],
                credentials=form.credentials() or None,
                now=timezone.now(),
                origin=Origin.of_request(request),
            )
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"“{form.cleaned_data['name']}” is saved.")
            return _done(request)
    context = {**_form_context(form, transport), "channel": channel}
    return render_framed(request, "notifications/channel_edit.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def channel_delete(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    channel = own_channel(request, channel_id)
    if request.method == "GET":
        waiting = channel.deliveries.filter(state=Delivery.State.PENDING).count()
        context = {"channel": channel, "waiting_count": waiting, "is_email": _is_email(channel)}
        return render_framed(request, "notifications/channel_delete.html", context)
    try:
        delete_channel(channel=channel, now=timezone.now(), origin=Origin.of_request(request))
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.success(request, f"“{channel.name}” is deleted.")
    return _done(request)


@login_required
@require_POST
def channel_switch_on(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    channel = own_channel(request, channel_id)
    switch_on(channel=channel, now=timezone.now())
    messages.success(request, f"“{channel.name}” is switched on again. Send yourself a test.")
    return _done(request)


@login_required
@require_http_methods(["GET", "POST"])
def channel_test(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Send a test (POST), or show how the one that `?delivery=` names went (GET)."""
    channel = own_channel(request, channel_id)
    if request.method == "GET":
        asked = _asked_delivery(request, channel)
        return redirect("channel-list") if asked is None else _outcome(request, channel, asked)
    try:
        delivery = test_channel(channel=channel, now=timezone.now())
    except Refusal as refusal:
        return _refused(request, channel, refusal.sentence)
    if not is_htmx(request):
        messages.success(request, f"A test is on its way by “{channel.name}”.")
        return redirect("channel-list")
    return _outcome(request, channel, delivery)


def own_channel(request: HttpRequest, channel_id: UUID) -> Channel:
    """Return the user's channel; a stranger's is as good as none."""
    own = Channel.objects.owned_by(signed_in(request))
    channel = get_object_or_404(own.defer("credentials"), pk=channel_id)
    if channel.transport not in transports():
        raise Http404
    return channel


@sensitive_variables()
def _added(request: HttpRequest, channel: Channel, given: dict[str, str]) -> HttpResponse:
    """Lead on; what the transport made up itself is shown here, once."""
    stored = generated_credentials(channel=channel, given=given)
    fields = transports()[channel.transport].fields
    made = [
        (field.label, stored[field.name])
        for field in fields
        if field.is_made and field.name in stored
    ]
    if made:
        context = {"channel": channel, "made": made}
        return render_framed(request, "notifications/channel_secret.html", context)
    messages.success(request, f"“{channel.name}” is added. Send yourself a test.")
    return _done(request)


def _form_context(form: ChannelForm, transport: Transport) -> dict[str, Any]:
    return {"form": form, "transport": transport, "steps": steps_templates(transport)}


def _done(request: HttpRequest) -> HttpResponse:
    if is_htmx(request):
        return HttpResponseClientRedirect(reverse("channel-list"))
    return redirect("channel-list")


def _outcome(request: HttpRequest, channel: Channel, delivery: Delivery) -> HttpResponse:
    """Show how a test stands, and with it how the channel does unless that is not asked for."""
    context = outcome_context(delivery)
    if BRIEF not in request.GET:
        transport = transports()[channel.transport]
        context["card"] = channel_card(channel, transport, signed_in(request))
    return render(
        request, OUTCOME, context | {"channel": channel, "is_brief": BRIEF in request.GET}
    )


def outcome_context(delivery: Delivery) -> dict[str, Any]:
    """Say how a test stands; the part asks again while it is under way, for a minute."""
    now = timezone.now()
    waited = (now - (delivery.created_at or now)).total_seconds()
    is_pending = delivery.state == Delivery.State.PENDING
    return {
        "delivery": delivery,
        "line": delivery_line(delivery, now=now),
        "is_open": is_pending and waited < TEST_WATCHED_SECONDS,
        "is_late": is_pending and waited >= TEST_WATCHED_SECONDS,
    }


def _refused(request: HttpRequest, channel: Channel, sentence: str) -> HttpResponse:
    if is_htmx(request):
        context = {"channel": channel, "refusal": sentence}
        return render(request, OUTCOME, context)
    messages.error(request, sentence)
    return redirect("channel-list")


def _asked_delivery(request: HttpRequest, channel: Channel) -> Delivery | None:
    number = request.GET.get("delivery", "")
    if not (number.isascii() and number.isdecimal() and len(number) <= LONGEST_NUMBER):
        return None
    return channel.deliveries.filter(pk=int(number)).first()


def _is_email(channel: Channel) -> bool:
    return channel.transport == EMAIL

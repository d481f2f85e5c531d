"""The ways to reach a user: added, tested, renamed, switched on again, deleted."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.views.lookups import signed_in
from notifications.models import Channel


@login_required
@require_safe
def channel_list(request: HttpRequest) -> HttpResponse:
    channels = Channel.objects.owned_by(signed_in(request))
    return render(request, "notifications/channels.html", {"channels": channels})

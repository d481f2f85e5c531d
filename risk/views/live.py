"""The live parts that pages of other apps load by their address."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.screen.account_list import account_list
from accounts.views.lookups import own_account, signed_in
from groups.models import AccountGroup
from risk.live import account_risk, account_risks, group_risk, group_summaries
from risk.presentation.accounts import account_parts, account_status
from risk.presentation.consequences import account_consequences
from risk.presentation.groups import card_part, group_parts


@login_required
@require_safe
def group_cards(request: HttpRequest) -> HttpResponse:
    summaries = group_summaries(signed_in(request), now=timezone.now())
    parts = [card_part(summary["risk"]) for summary in summaries]
    return render(request, "risk/cards.html", {"parts": parts})


@login_required
@require_safe
def group_panel(request: HttpRequest, group_id: UUID) -> HttpResponse:
    own = AccountGroup.objects.owned_by(signed_in(request))
    group = get_object_or_404(own, pk=group_id)
    parts = group_parts(group_risk(group, now=timezone.now()))
    context = {"parts": parts, "socket_path": f"/ws/group/{group.pk}"}
    return render(request, "risk/panel.html", context)


@login_required
@require_safe
def account_panel(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    now = timezone.now()
    parts = account_parts(account_risk(account, now=now), now=now)
    context = {"parts": parts, "socket_path": f"/ws/account/{account.pk}"}
    return render(request, "risk/panel.html", context)


@login_required
@require_safe
def account_statuses(request: HttpRequest) -> JsonResponse:
    """Return how safe each account on a page of the list is, as patches of its cells."""
    now = timezone.now()
    listed = account_list(signed_in(request), request.GET, now=now)
    risks = account_risks([row.account for row in listed.page], now=now)
    return JsonResponse([account_status(risk).patch() for risk in risks], safe=False)


@login_required
@require_safe
def consequences(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Tell what of groups and rules goes with an account that is deleted."""
    account = own_account(request, account_id)
    context = {"consequences": account_consequences(account)}
    return render(request, "risk/consequences.html", context)

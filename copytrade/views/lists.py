"""All relationships, a provider with its followers, and how well copying goes."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import ConnectedAccount
from accounts.views.lookups import own_account, signed_in
from copytrade.models import CopyRelationship
from copytrade.screen.group import group_panel
from copytrade.screen.metrics import PERIODS, metrics_panel, period_named
from copytrade.screen.relationships import relationship_rows
from copytrade.selectors.ledger import copies_of
from copytrade.selectors.metrics import copy_metrics, provider_metrics
from copytrade.selectors.relationships import followers_of, offers_to, relationships_of
from copytrade.views.cascades import cascades_of_provider
from copytrade.views.lookups import asked_id

PAGE_LENGTH = 50


@login_required
@require_safe
def relationship_list(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    rows = relationships_of(user)
    offers = list(offers_to(user))
    living = rows.living().exclude(pk__in=[offer.pk for offer in offers])
    page = Paginator(living, PAGE_LENGTH).get_page(request.GET.get("page"))
    ended = rows.filter(state__in=CopyRelationship.ENDED).order_by("-state_changed_at")
    context = {
        "offers": relationship_rows(user, offers),
        "rows": relationship_rows(user, page),
        "page": page,
        "ended": relationship_rows(user, ended[:PAGE_LENGTH]),
        "ended_count": ended.count(),
        "has_accounts": ConnectedAccount.objects.owned_by(user).exists(),
        "tab": "relationships",
    }
    return render(request, "copytrade/list.html", context)


@login_required
@require_safe
def provider_page(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Show a provider: its followers' risk as a group, its followers, and its ledger."""
    user = signed_in(request)
    provider = own_account(request, account_id)
    followers = followers_of(provider)
    page = Paginator(followers, PAGE_LENGTH).get_page(request.GET.get("page"))
    since = timezone.now() - PERIODS[1].length
    context = {
        "provider": provider,
        "panel": group_panel(provider, now=timezone.now()),
        **cascades_of_provider(user, provider.pk),
        "rows": relationship_rows(user, page),
        "page": page,
        "metrics": metrics_panel(provider_metrics(provider, user=user, since=since)),
        "metrics_query": f"provider={provider.pk}&period={PERIODS[1].name}",
        "tab": "",
    }
    return render(request, "copytrade/provider.html", context)


@login_required
@require_safe
def provider_group(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Return the live risk of a provider's group, for the page to ask again and again."""
    provider = own_account(request, account_id)
    context = {"provider": provider, "panel": group_panel(provider, now=timezone.now())}
    return render(request, "copytrade/parts/group.html", context)


@login_required
@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Show how copying went: of everything, of a provider, or of one relationship."""
    user = signed_in(request)
    period = period_named(request.GET.get("period"))
    copies = copies_of(user)
    relationship_id, provider_id = asked_id(request, "relationship"), asked_id(request, "provider")
    about, query = "", ""
    if relationship_id is not None:
        row = get_object_or_404(relationships_of(user), pk=relationship_id)
        copies = copies.filter(relationship_id=row.pk)
        about, query = relationship_rows(user, [row])[0].name, f"relationship={row.pk}"
    elif provider_id is not None:
        provider = own_account(request, provider_id)
        copies = copies.filter(provider_id=provider.pk)
        about, query = provider.name, f"provider={provider.pk}"
    told = copy_metrics(copies, user=user, since=timezone.now() - period.length)
    providers = ConnectedAccount.objects.owned_by(user).filter(copied_by__isnull=False).distinct()
    context = {
        "panel": metrics_panel(told),
        "period": period,
        "periods": PERIODS,
        "about": about,
        "query": query,
        "metrics_query": "&".join(each for each in (query, f"period={period.name}") if each),
        "providers": providers.order_by("name", "pk"),
        "provider_id": provider_id,
        "tab": "metrics",
    }
    return render(request, "copytrade/metrics.html", context)

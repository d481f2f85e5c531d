"""The liquidations of a provider, as its page and those of its relationships show them."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.views.lookups import own_account, signed_in
from copytrade.cascade.story import cascade_stories
from copytrade.screen.cascades import cascade_rows
from copytrade.views.lookups import own_view

_MOST_SHOWN = 5


@login_required
@require_safe
def provider_cascades(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Return a provider's cascades as they are now, for its page to ask again and again."""
    provider = own_account(request, account_id)
    context = cascades_of_provider(signed_in(request), provider.pk)
    return render(request, "copytrade/parts/cascades.html", context)


@login_required
@require_safe
def relationship_cascades(request: HttpRequest, relationship_id: UUID) -> HttpResponse:
    """Return the cascades of one relationship, for its page to ask again and again."""
    view = own_view(request, relationship_id)
    context = cascades_of_relationship(signed_in(request), view.id)
    return render(request, "copytrade/parts/cascades.html", context)


def cascades_of_provider(user: User, provider_id: UUID) -> dict[str, Any]:
    stories = cascade_stories(user, provider_id=provider_id, most=_MOST_SHOWN)
    address = reverse("copying-provider-cascades", args=[provider_id])
    return {"cascades": cascade_rows(stories), "cascades_address": address}


def cascades_of_relationship(user: User, relationship_id: UUID) -> dict[str, Any]:
    stories = cascade_stories(user, relationship_id=relationship_id, most=_MOST_SHOWN)
    address = reverse("copying-cascades", args=[relationship_id])
    return {"cascades": cascade_rows(stories), "cascades_address": address}

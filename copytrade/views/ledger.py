"""The live ledger: a row per event, which opens into one per follower."""

import zlib
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from accounts.views.lookups import signed_in
from copytrade.screen.ledger import copy_rows, event_rows
from copytrade.selectors.events import newest_events
from copytrade.selectors.ledger import copies_of, events_of
from copytrade.views.lookups import asked_id

PAGE_LENGTH = 25
EXCERPT_LENGTH = 10
COPIES_LENGTH = 100
_MOST_OPEN = 10


@login_required
@require_safe
def ledger_page(request: HttpRequest) -> HttpResponse:
    context = {**ledger_context(request), "tab": "ledger"}
    return render(request, "copytrade/ledger.html", context)


@login_required
@require_safe
def ledger_rows(request: HttpRequest) -> HttpResponse:
    """Return the rows anew; nothing at all while they are as the page has them."""
    context = ledger_context(request)
    if context["seen"] == request.GET.get("seen"):
        return HttpResponse(status=204)
    return render(request, "copytrade/parts/ledger.html", context)


@login_required
@require_safe
def event_page(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Show one event with all of its copies, page by page."""
    user = signed_in(request)
    relationship_id = asked_id(request, "relationship")
    event = get_object_or_404(events_of(user), pk=event_id)
    copies = copies_of(user).filter(event_id=event.pk)
    if relationship_id is not None:
        copies = copies.filter(relationship_id=relationship_id)
    page = Paginator(copies.order_by("pk"), COPIES_LENGTH).get_page(request.GET.get("page"))
    first = (page.number - 1) * COPIES_LENGTH
    before = newest_events(user, most=PAGE_LENGTH, provider_id=event.provider_id, before=event)
    context = {
        "row": event_rows(user, [event], relationship_id=relationship_id, beside=before)[0],
        "copies": copy_rows(user, event, copies, most=COPIES_LENGTH, first=first),
        "page": page,
        "tab": "ledger",
    }
    return render(request, "copytrade/event.html", context)


def ledger_context(
    request: HttpRequest,
    *,
    provider_id: UUID | None = None,
    relationship_id: UUID | None = None,
    is_excerpt: bool = False,
) -> dict[str, Any]:
    """Return what the part of the ledger needs, `seen` being a sum over all that it shows.

    An excerpt has the newest few rows alone, for a page that is about more than them. Further
    pages begin after a row that the address names: nothing is counted, for the ledger is long.
    """
    user = signed_in(request)
    provider_id = provider_id or asked_id(request, "provider")
    relationship_id = relationship_id or asked_id(request, "relationship")
    is_excerpt = is_excerpt or request.GET.get("excerpt") == "1"
    length = EXCERPT_LENGTH if is_excerpt else PAGE_LENGTH
    asked = asked_id(request, "before")
    before = None if asked is None else events_of(user).filter(pk=asked).first()
    events = newest_events(
        user,
        most=length + 1,
        provider_id=provider_id,
        relationship_id=relationship_id,
        before=before,
    )
    page = events[:length]
    scope = {
        "provider": provider_id,
        "relationship": relationship_id,
        "excerpt": "1" if is_excerpt else "",
    }
    context: dict[str, Any] = {
        "rows": event_rows(user, page, relationship_id=relationship_id, opened=_opened(request)),
        "before": None if before is None else before.pk,
        "older": page[-1].pk if len(events) > length else None,
        "query": "&".join(f"{name}={value}" for name, value in scope.items() if value),
        "relationship_id": relationship_id,
    }
    shown = render_to_string("copytrade/parts/ledger.html", context)
    return {**context, "seen": f"{zlib.crc32(shown.encode()):08x}"}


def _opened(request: HttpRequest) -> list[UUID]:
    found = []
    for text in request.GET.get("open", "").split(",")[:_MOST_OPEN]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found

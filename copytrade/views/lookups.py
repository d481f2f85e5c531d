"""What a page of copy trading is about: one of the user's relationships, or their provider."""

from uuid import UUID

from django.http import Http404, HttpRequest, QueryDict
from django.shortcuts import get_object_or_404

from accounts.views.lookups import signed_in
from copytrade.selectors.relationships import RelationshipView, relationships_of, visible_to


def own_view(request: HttpRequest, relationship_id: UUID) -> RelationshipView:
    """Return a relationship of which the user owns a side; a stranger's is as good as none."""
    user = signed_in(request)
    view = visible_to(user, get_object_or_404(relationships_of(user), pk=relationship_id))
    if view is None:
        raise Http404
    return view


def posted(request: HttpRequest) -> QueryDict | None:
    """Return what was sent, be it nothing; None where the page is only looked at."""
    return request.POST if request.method == "POST" else None


def asked_id(request: HttpRequest, name: str) -> UUID | None:
    """Return an id that the address names; None where it names none."""
    try:
        return UUID(request.GET.get(name, ""))
    except ValueError:
        return None

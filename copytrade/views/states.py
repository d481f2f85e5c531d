"""Answering an offer, holding a relationship back, and ending it; each asks once more."""

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRedirect

from accounts.refusals import Refusal
from accounts.views.lookups import signed_in
from accounts.views.modals import is_htmx, render_framed
from copytrade.forms import AcceptForm, EndForm, ReasonForm
from copytrade.models import CopyRelationship
from copytrade.screen.endings import ending_choices
from copytrade.screen.holdings import holdings_of
from copytrade.screen.relationships import relationship_row
from copytrade.screen.terms import term_lines
from copytrade.selectors.relationships import RelationshipView
from copytrade.services.relationships import (
    accept,
    close_only,
    decline,
    pause,
    resume,
    terminate,
)
from copytrade.views.lookups import own_view, posted
from copytrade.views.offers import sentences_for

Ending = CopyRelationship.Ending

_HOLDS: Final = {"pause": "pause", "close-only": "close_only", "resume": "resume"}
_DONE: Final = {
    "pause": "Copying is paused; closes and stops go on.",
    "close_only": "It only closes from now on.",
    "resume": "Copying goes on with new trades.",
}
_ENDED: Final = {
    Ending.KEEP: "The relationship has ended; what was copied stays open.",
    Ending.AS_PROVIDER: "It ends once the provider has closed what was copied.",
    Ending.CLOSE_NOW: "Everything that was copied is being closed.",
}


@login_required
@require_http_methods(["GET", "POST"])
def accept_offer(request: HttpRequest, relationship_id: UUID) -> HttpResponse:
    """Show an offer's terms with what the firm says on copying, and begin."""
    view = own_view(request, relationship_id)
    row, user = view.relationship, signed_in(request)
    if "accept" not in view.actions:
        return _not_now(request, view)
    initial = {"seen_at": row.terms_changed_at.isoformat()}
    form = AcceptForm(posted(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            accept(relationship=row, actor=user, now=timezone.now(), **form.cleaned_data)
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"{view.follower_name} copies {view.provider_name}.")
            return _done(request, view)
    context = {
        "form": form,
        "terms": term_lines(row),
        "sentences": sentences_for(user, row.follower),
    }
    return _dialog(request, view, "copytrade/accept.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def decline_offer(request: HttpRequest, relationship_id: UUID) -> HttpResponse:
    view = own_view(request, relationship_id)
    if "decline" not in view.actions:
        return _not_now(request, view)
    form = ReasonForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            decline(
                relationship=view.relationship,
                actor=signed_in(request),
                now=timezone.now(),
                reason=form.cleaned_data["reason"],
            )
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, "The offer is declined.")
            return _done(request, view)
    return _dialog(request, view, "copytrade/decline.html", {"form": form})


@login_required
@require_http_methods(["GET", "POST"])
def hold(request: HttpRequest, relationship_id: UUID, change: str) -> HttpResponse:
    """Pause, only close, or go on."""
    view = own_view(request, relationship_id)
    name = _HOLDS.get(change)
    if name is None:
        raise Http404
    if name not in view.actions:
        return _not_now(request, view)
    form = ReasonForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            row = _held(request, view, name, form.cleaned_data["reason"])
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            is_held = name == "resume" and row.state != CopyRelationship.State.ACTIVE
            messages.success(request, "The other side still holds it." if is_held else _DONE[name])
            return _done(request, view)
    return _dialog(request, view, "copytrade/hold.html", {"form": form, "change": name})


@login_required
@require_http_methods(["GET", "POST"])
def end(request: HttpRequest, relationship_id: UUID) -> HttpResponse:
    """End a relationship in one of its three ways, or take an offer back."""
    view = own_view(request, relationship_id)
    if "terminate" not in view.actions:
        return _not_now(request, view)
    initial = {"ending": view.relationship.ending or Ending.AS_PROVIDER}
    form = EndForm(posted(request), endings=view.endings, initial=initial)
    if request.method == "POST" and form.is_valid():
        ending = form.cleaned_data.get("ending", Ending.KEEP)
        try:
            row = terminate(
                relationship=view.relationship,
                actor=signed_in(request),
                now=timezone.now(),
                ending=ending,
                reason=form.cleaned_data["reason"],
            )
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, _ended_sentence(view, row, ending))
            return _done(request, view)
    holdings = holdings_of(view, now=timezone.now())
    context = {"form": form, "holdings": holdings, "choices": ending_choices(form, holdings)}
    return _dialog(request, view, "copytrade/end.html", context)


def _held(request: HttpRequest, view: RelationshipView, name: str, reason: str) -> CopyRelationship:
    row, actor, now = view.relationship, signed_in(request), timezone.now()
    if name == "resume":
        return resume(relationship=row, actor=actor, now=now)
    change = pause if name == "pause" else close_only
    return change(relationship=row, actor=actor, now=now, reason=reason)


def _ended_sentence(view: RelationshipView, row: CopyRelationship, ending: str) -> str:
    if view.relationship.state == CopyRelationship.State.OFFERED:
        return "The offer is taken back."
    if row.state == CopyRelationship.State.TERMINATED and (
        ending != Ending.KEEP or not view.held_count
    ):
        return "The relationship has ended; nothing was held any more."
    return _ENDED[Ending(ending)]


def _dialog(
    request: HttpRequest, view: RelationshipView, template: str, context: dict[str, Any]
) -> HttpResponse:
    shown = {**context, "view": view, "row": relationship_row(view), "tab": ""}
    return render_framed(request, template, shown)


def _done(request: HttpRequest, view: RelationshipView) -> HttpResponse:
    """Lead to the relationship's page: every part of it may look different now."""
    address = reverse("copying-relationship", args=[view.id])
    return HttpResponseClientRedirect(address) if is_htmx(request) else redirect(address)


def _not_now(request: HttpRequest, view: RelationshipView) -> HttpResponse:
    """Answer what somebody else did meanwhile, or what was never theirs to do."""
    row = relationship_row(view)
    messages.error(request, f"{row.name}: that is not possible now, it is {row.label.lower()}.")
    return _done(request, view)

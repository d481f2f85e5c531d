"""One relationship: its page, the parts that move, and the form that changes it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms.users import zone_names
from accounts.refusals import Refusal
from accounts.views.lookups import signed_in
from copytrade.forms import AliasForm, ExampleForm, TermsForm
from copytrade.screen.holdings import holdings_of
from copytrade.screen.metrics import PERIODS, metrics_panel
from copytrade.screen.relationships import relationship_row
from copytrade.screen.terms import term_lines
from copytrade.selectors.metrics import relationship_metrics
from copytrade.selectors.relationships import RelationshipView
from copytrade.services.relationships import update_relationship
from copytrade.terms import TERMS
from copytrade.views.cascades import cascades_of_relationship
from copytrade.views.ledger import ledger_context
from copytrade.views.lookups import own_view, posted
from copytrade.views.offers import answer_example, sentences_for, show_example


@login_required
@require_safe
def relationship_detail(request: HttpRequest, relationship_id: UUID) -> HttpResponse:
    view = own_view(request, relationship_id)
    user, row = signed_in(request), view.relationship
    since = timezone.now() - PERIODS[1].length
    context = {
        **_head(view),
        **ledger_context(request, relationship_id=row.pk, is_excerpt=True),
        **cascades_of_relationship(user, row.pk),
        "terms": term_lines(row) if view.shows_terms else [],
        "metrics": metrics_panel(relationship_metrics(row, user=user, since=since)),
        "metrics_query": f"relationship={row.pk}&period={PERIODS[1].name}",
        "sentences": sentences_for(user, row.provider, row.follower),
        "tab": "",
    }
    return render(request, "copytrade/relationship.html", context)


@login_required
@require_safe
def relationship_head(request: HttpRequest, relationship_id: UUID) -> HttpResponse:
    """Return the state and what is held, for the page to ask again and again."""
    view = own_view(request, relationship_id)
    return render(request, "copytrade/parts/head.html", _head(view))


@login_required
@require_http_methods(["GET", "POST"])
def relationship_example(request: HttpRequest, relationship_id: UUID) -> HttpResponse:
    """Say what the terms would mean now: those of the relationship, or those just typed."""
    view = own_view(request, relationship_id)
    row = view.relationship
    if request.method == "POST":
        form = TermsForm(request.POST, relationship=row)
        form.is_valid()
        return answer_example(request, form, row.provider, row.follower)
    terms: Any = {name: getattr(row, name) for name in TERMS}
    return show_example(request, row.provider, row.follower, **terms)


@login_required
@require_http_methods(["GET", "POST"])
def relationship_update(request: HttpRequest, relationship_id: UUID) -> HttpResponse:
    """Change the terms where they are the user's to change, else the alias alone."""
    view = own_view(request, relationship_id)
    if not {"edit", "rename"} & set(view.actions):
        raise Http404
    row = view.relationship
    data = posted(request)
    form = TermsForm(data, relationship=row) if "edit" in view.actions else None
    alias_form = None
    if "rename" in view.actions and not view.owns_follower:
        alias_form = AliasForm(data, initial={"alias": row.alias})
    forms = [each for each in (form, alias_form) if each is not None]
    # Each is looked at, so that each shows what is wrong with it.
    wrong = [each for each in forms if not each.is_valid()]
    if request.method == "POST" and not wrong:
        try:
            update_relationship(
                relationship=row,
                actor=signed_in(request),
                now=timezone.now(),
                alias=alias_form.cleaned_data["alias"] if alias_form else None,
                **(form.terms() if form else {}),
            )
        except (ValidationError, Refusal) as error:
            (form or forms[0]).take_error(error)
        else:
            messages.success(request, "The relationship is saved; what comes follows it.")
            return redirect("copying-relationship", row.pk)
    context = {
        "view": view,
        "row": relationship_row(view),
        "form": form,
        "alias_form": alias_form,
        "example_form": ExampleForm(data, initial={"example_lots": "1.00"}),
        "currency": row.follower.currency if view.owns_follower else "",
        "zone_names": zone_names(),
        "tab": "",
    }
    return render(request, "copytrade/edit.html", context)


def _head(view: RelationshipView) -> dict[str, Any]:
    return {
        "view": view,
        "row": relationship_row(view),
        "holdings": holdings_of(view, now=timezone.now()),
    }

"""The wizard of a new relationship, with its live example."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms.users import zone_names
from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.views.lookups import signed_in
from copytrade.core.kinds import Sizing, SkipReason
from copytrade.forms import ExampleForm, OfferForm, TermsForm
from copytrade.models import CopyRelationship
from copytrade.screen.relationships import relationship_row
from copytrade.screen.terms import term_lines
from copytrade.screen.words import lots
from copytrade.selectors.examples import ExampleSize, example_size
from copytrade.selectors.firms import FirmSentence, firm_sentences
from copytrade.selectors.relationships import visible_to
from copytrade.services.relationships import offer_relationship
from copytrade.terms import set_terms
from copytrade.views.lookups import posted


@login_required
@require_http_methods(["GET", "POST"])
def relationship_create(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = OfferForm(posted(request), user=user, initial=_initial(request))
    step, review = 1, {}
    if request.method == "POST":
        if form.is_valid():
            try:
                row = _offer(user, form)
            except (ValidationError, Refusal) as error:
                form.take_error(error)
            else:
                messages.success(request, _made_sentence(user, row))
                return redirect("copying-relationship", row.pk)
        step, review = form.first_wrong_step, _review(user, form)
    context = {
        "form": form,
        "example_form": ExampleForm(posted(request), initial={"example_lots": "1.00"}),
        "step": step,
        "zone_names": zone_names(),
        "tab": "",
        **review,
    }
    return render(request, "copytrade/create.html", context)


@login_required
@require_POST
def relationship_review(request: HttpRequest) -> HttpResponse:
    """Say what would be offered, with what the firms say on it, before it is."""
    user = signed_in(request)
    form = OfferForm(request.POST, user=user)
    form.is_valid()
    context = {"form": form, **_review(user, form)}
    return render(request, "copytrade/parts/review.html", context)


@login_required
@require_POST
def example(request: HttpRequest) -> HttpResponse:
    """Return the sentence of the example for a form as it is filled in now."""
    user = signed_in(request)
    form = OfferForm(request.POST, user=user)
    form.is_valid()
    provider, follower = form.cleaned_data.get("provider"), form.cleaned_data.get("follower")
    if provider is None or follower is None:
        return render_example(request, None, "Choose both accounts to see an example.")
    return answer_example(request, form, provider, follower)


def answer_example(
    request: HttpRequest, form: TermsForm, provider: ConnectedAccount, follower: ConnectedAccount
) -> HttpResponse:
    """Size an example for the terms of a checked form, whatever else of it is wrong."""
    trade = ExampleForm(request.POST)
    if form.size_trouble:
        return render_example(request, None, form.size_trouble)
    if not trade.is_valid():
        text = "The trade of the example needs another look: lots, symbol and stop."
        return render_example(request, None, text)
    is_by_risk = form.cleaned_data["sizing"] == Sizing.RISK_PERCENT
    if (
        is_by_risk
        and not form.cleaned_data.get("stop_loss_points")
        and not trade.trade()["stop_loss"]
    ):
        text = "Give the trade of the example a stop: the lots follow from how far it is."
        return render_example(request, None, text)
    return show_example(request, provider, follower, **trade.trade(), **form.size_terms())


def show_example(
    request: HttpRequest, provider: ConnectedAccount, follower: ConnectedAccount, **asked: Any
) -> HttpResponse:
    """Size an example for some terms, those that `example_size` takes, or say why there is none."""
    user = signed_in(request)
    try:
        found = example_size(
            actor=user, provider=provider, follower=follower, now=timezone.now(), **asked
        )
    except (ValidationError, Refusal) as error:
        text = error.sentence if isinstance(error, Refusal) else " ".join(error.messages)
        return render_example(request, None, text)
    return render_example(request, found)


def render_example(
    request: HttpRequest, found: ExampleSize | None, trouble: str = ""
) -> HttpResponse:
    is_early = found is not None and found.reason == SkipReason.NO_READING
    context = {
        "example": found,
        "trouble": trouble,
        "asks_again": is_early,
        "there": "" if found is None else lots(found.provider_lots),
        "here": "" if found is None else lots(found.lots),
    }
    return render(request, "copytrade/parts/example.html", context)


def sentences_for(user: User, *accounts: ConnectedAccount | None) -> list[FirmSentence]:
    """Return what the firms of the user's own accounts among these say on copying."""
    return firm_sentences([each for each in accounts if each and each.user_id == user.pk])


def _initial(request: HttpRequest) -> dict[str, Any]:
    return {name: request.GET[name] for name in ("provider", "follower") if name in request.GET}


def _offer(user: User, form: OfferForm) -> CopyRelationship:
    cleaned = form.cleaned_data
    return offer_relationship(
        actor=user,
        provider=cleaned["provider"],
        follower=cleaned["follower"],
        now=timezone.now(),
        alias=cleaned["alias"],
        confirms_firm_terms=cleaned["confirms_firm_terms"],
        **form.terms(),
    )


def _made_sentence(user: User, row: CopyRelationship) -> str:
    view = visible_to(user, row)
    name = relationship_row(view).name if view else row.alias
    if row.state == CopyRelationship.State.OFFERED:
        return f"{name} is offered. Nothing is copied until it is accepted."
    return f"{name}: copying has begun."


def _review(user: User, form: OfferForm) -> dict[str, Any]:
    """Return what the last step shows of a form that `is_valid` has looked at."""
    provider, follower = form.cleaned_data.get("provider"), form.cleaned_data.get("follower")
    row = CopyRelationship(provider=provider, follower=follower)
    set_terms(row, form.terms())
    trouble = [
        (form[name].label, text)
        for name, texts in form.errors.items()
        if name in form.fields
        for text in texts
    ]
    is_own = follower is not None and follower.user_id == user.pk
    return {
        "is_reviewed": True,
        "provider": provider,
        "follower": follower,
        "is_own": is_own,
        "terms": term_lines(row) if not trouble else [],
        "trouble": trouble,
        "sentences": sentences_for(user, provider, follower),
    }

"""Closing everything, what is at work, and unlocking."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import trigger_client_event

from accounts.refusals import Refusal
from accounts.views.lookups import own_account, signed_in
from accounts.views.modals import close_modal, is_modal, render_framed
from risk.enforcement_forms import CloseAllForm, UnlockForm
from risk.presentation.history import enforcement_rows
from risk.presentation.holdings import closing_sentence, holdings, is_within_reach
from risk.presentation.standing import lock_lines, standing_of
from risk.services.panic import close_all
from risk.services.unlocking import unlock_account, unlocking_sentences
from risk.views.scopes import Scope, asked_scope, everything, of_account, of_group


@login_required
@require_safe
def standing(request: HttpRequest) -> HttpResponse:
    """Show what is at work and what is locked, for the top of a page (`?account=`, `?group=`)."""
    return render(request, "risk/standing.html", _standing(asked_scope(request)))


@login_required
@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """Show how far closing everything is, for the modal in which it was asked for."""
    return render(request, "risk/panic_runs.html", _standing(asked_scope(request)))


@login_required
@require_http_methods(["GET", "POST"])
def close_everything(request: HttpRequest) -> HttpResponse:
    scope = everything(signed_in(request))
    return _close(request, scope, reverse("close-all"), reverse("group-list"))


@login_required
@require_http_methods(["GET", "POST"])
def close_account(request: HttpRequest, account_id: UUID) -> HttpResponse:
    scope = of_account(request, account_id)
    back = reverse("account-detail", args=[account_id])
    return _close(request, scope, reverse("account-close-all", args=[account_id]), back)


@login_required
@require_http_methods(["GET", "POST"])
def close_group(request: HttpRequest, group_id: UUID) -> HttpResponse:
    scope = of_group(request, group_id)
    back = reverse("group-detail", args=[group_id])
    return _close(request, scope, reverse("group-close-all", args=[group_id]), back)


@login_required
@require_http_methods(["GET", "POST"])
def account_unlock(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Unlock an account with a reason, after saying what that changes and what it does not."""
    account = own_account(request, account_id)
    form = UnlockForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            unlock_account(
                account=account,
                actor=signed_in(request),
                reason=form.cleaned_data["reason"],
                now=timezone.now(),
            )
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"{account.name} is unlocked.")
            answer = close_modal(request, otherwise=reverse("account-detail", args=[account.pk]))
            return trigger_client_event(answer, "standing-changed", after="settle")
    context = {
        "account": account,
        "form": form,
        "lock": next(iter(lock_lines([account])), None),
        "sentences": unlocking_sentences(account),
    }
    return render_framed(request, "risk/unlock.html", context)


@login_required
@require_safe
def account_enforcements(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Show when TradeGuard stepped in on an account, with the orders of each time."""
    account = own_account(request, account_id)
    context = {"account": account, "rows": enforcement_rows(account)}
    return render(request, "risk/enforcements.html", context)


def _close(request: HttpRequest, scope: Scope, address: str, back: str) -> HttpResponse:
    form = CloseAllForm(request.POST or None)
    context = {"scope": scope, "address": address, "back": back, "form": form}
    within = [account for account in scope.accounts if is_within_reach(account)]
    if request.method == "POST" and form.is_valid() and within:
        try:
            close_all(
                accounts=within,
                actor=scope.user,
                reason=form.reason_given(),
                lock=form.cleaned_data["lock"],
                now=timezone.now(),
            )
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            if not is_modal(request):
                return redirect(back)
            answer = render_framed(request, "risk/panic_started.html", context | _standing(scope))
            return trigger_client_event(answer, "standing-changed", after="settle")
    found = holdings(scope.accounts, now=timezone.now())
    sentence = closing_sentence(found) if found else ""
    context |= {"holdings": found, "sentence": sentence, "can_close": bool(within)}
    return render_framed(request, "risk/close_all.html", context)


def _standing(scope: Scope) -> dict[str, object]:
    is_everything = scope.account is None and scope.group is None
    found = standing_of(
        scope.user.pk, scope.accounts, now=timezone.now(), is_everything=is_everything
    )
    return {"scope": scope, "standing": found}

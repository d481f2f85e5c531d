"""Connecting and disconnecting, activating and deactivating: one account, or all of them."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import trigger_client_event

from accounts.models import ConnectedAccount
from accounts.refusals import Refusal
from accounts.services.default_account import set_default
from accounts.services.watching import (
    SwitchResult,
    activate_account,
    connect_account,
    connect_all,
    deactivate_account,
    disconnect_account,
    disconnect_all,
)
from accounts.views.lookups import own_account, signed_in
from accounts.views.modals import is_htmx, is_modal, render_framed


@login_required
@require_POST
def account_connect(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    try:
        connect_account(account=account, now=timezone.now())
    except Refusal as refusal:
        messages.error(request, f"{account.name}: {refusal.sentence}")
    else:
        messages.info(request, f"{account.name} is being connected.")
    return _after_switch(request, account_id)


@login_required
@require_POST
def account_disconnect(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    try:
        disconnect_account(account=account, now=timezone.now())
    except Refusal as refusal:
        messages.error(request, f"{account.name}: {refusal.sentence}")
    else:
        messages.info(request, f"{account.name} is being disconnected; its rules are not watched.")
    return _after_switch(request, account_id)


@login_required
@require_POST
def account_activate(request: HttpRequest, account_id: UUID) -> HttpResponse:
    return _change(
        request,
        account_id,
        lambda account: activate_account(account=account, now=timezone.now()),
        "{} is active and is being connected.",
    )


@login_required
@require_POST
def account_deactivate(request: HttpRequest, account_id: UUID) -> HttpResponse:
    return _change(
        request,
        account_id,
        lambda account: deactivate_account(account=account, now=timezone.now()),
        "{} is inactive: it is not connected, and its rules are not watched.",
    )


@login_required
@require_POST
def account_set_default(request: HttpRequest, account_id: UUID) -> HttpResponse:
    return _change(
        request,
        account_id,
        lambda account: set_default(account=account),
        "{} is the default account.",
    )


@login_required
@require_POST
def accounts_connect(request: HttpRequest) -> HttpResponse:
    results = connect_all(user=signed_in(request), now=timezone.now())
    return _show_results(request, results, is_connecting=True)


@login_required
@require_http_methods(["GET", "POST"])
def accounts_disconnect(request: HttpRequest) -> HttpResponse:
    """Ask first: without a connection nobody watches the rules of any account."""
    if request.method == "GET":
        return render_framed(request, "accounts/disconnect_all.html", {})
    results = disconnect_all(user=signed_in(request), now=timezone.now())
    return _show_results(request, results, is_connecting=False)


def _show_results(
    request: HttpRequest, results: list[SwitchResult], *, is_connecting: bool
) -> HttpResponse:
    """Show what came of each account, those first that were refused."""
    refused = sum(result.refusal is not None for result in results)
    context = {
        "results": sorted(results, key=lambda result: result.refusal is None),
        "done": len(results) - refused,
        "refused": refused,
        "is_connecting": is_connecting,
    }
    answer = render_framed(request, "accounts/results.html", context)
    return trigger_client_event(answer, "accounts-changed") if is_modal(request) else answer


def _change(
    request: HttpRequest,
    account_id: UUID,
    change: Callable[[ConnectedAccount], ConnectedAccount],
    done: str,
) -> HttpResponse:
    account = own_account(request, account_id)
    try:
        change(account)
    except Refusal as refusal:
        messages.error(request, f"{account.name}: {refusal.sentence}")
    else:
        messages.success(request, done.format(account.name))
    if not is_htmx(request):
        return redirect("account-detail", account_id)
    answer = render(request, "toasts.html", {"messages": messages.get_messages(request)})
    return trigger_client_event(answer, "accounts-changed")


def _after_switch(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Return the switch as it is now, or the page that it was on when there is no script."""
    if not is_htmx(request):
        return redirect("account-detail", account_id)
    context = {"account": own_account(request, account_id), "is_fragment": True}
    return render(request, "accounts/switch.html", context)

"""Closing and changing what is open, and changing and deleting what waits at the broker."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.models import ConnectedAccount
from accounts.views.lookups import own_account, signed_in
from accounts.views.modals import render_framed
from risk.models import Order
from risk.order_forms import CloseForm, KeyedForm, PendingForm, StopsForm
from risk.presentation.pending import open_position, pending_order
from risk.services.orders import cancel_order, close_position, modify_order, modify_position
from risk.views.ticket import send_once

# Tickets are kept as signed 64-bit numbers; a larger one names nothing.
_LARGEST_TICKET = 2**63 - 1
_DO = require_http_methods(["GET", "POST"])


@login_required
@_DO
def position_close(request: HttpRequest, account_id: UUID, ticket: int) -> HttpResponse:
    """Close a position, or a part of it; closing is always allowed."""
    account, now = _account_with(request, account_id, ticket), timezone.now()
    position = open_position(account, ticket, now=now)
    form = CloseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        wanted = _asked(request, form, account=account, ticket=ticket, volume=form.wanted_volume())
        answer = send_once(request, account, form, lambda: close_position(**wanted))
        if answer is not None:
            return answer
    context = _context("position-close", account, ticket, form)
    return render_framed(request, "risk/position_close.html", {**context, "position": position})


@login_required
@_DO
def position_change(request: HttpRequest, account_id: UUID, ticket: int) -> HttpResponse:
    account, now = _account_with(request, account_id, ticket), timezone.now()
    position = open_position(account, ticket, now=now)
    initial = {"stop_loss": position["sl"], "take_profit": position["tp"]} if position else {}
    form = StopsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        wanted = _asked(request, form, account=account, ticket=ticket, **form.stops())
        answer = send_once(request, account, form, lambda: modify_position(**wanted))
        if answer is not None:
            return answer
    context = _context("position-change", account, ticket, form)
    return render_framed(request, "risk/position_change.html", {**context, "position": position})


@login_required
@_DO
def pending_change(request: HttpRequest, account_id: UUID, ticket: int) -> HttpResponse:
    account, now = _account_with(request, account_id, ticket), timezone.now()
    order = pending_order(account, ticket, now=now)
    form = PendingForm(request.POST or None, initial=_pending_initial(order))
    if request.method == "POST" and form.is_valid():
        prices = {**form.stops(), **form.levels()}
        wanted = _asked(request, form, account=account, ticket=ticket, **prices)
        answer = send_once(request, account, form, lambda: modify_order(**wanted))
        if answer is not None:
            return answer
    context = _context("pending-change", account, ticket, form)
    context["is_stop_limit"] = order is not None and order.type.endswith("stop limit")
    return render_framed(request, "risk/pending_change.html", {**context, "order": order})


@login_required
@_DO
def pending_cancel(request: HttpRequest, account_id: UUID, ticket: int) -> HttpResponse:
    account, now = _account_with(request, account_id, ticket), timezone.now()
    order = pending_order(account, ticket, now=now)
    form = KeyedForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        wanted = _asked(request, form, account=account, ticket=ticket)
        answer = send_once(request, account, form, lambda: cancel_order(**wanted))
        if answer is not None:
            return answer
    context = _context("pending-cancel", account, ticket, form)
    return render_framed(request, "risk/pending_cancel.html", {**context, "order": order})


def _account_with(request: HttpRequest, account_id: UUID, ticket: int) -> ConnectedAccount:
    if ticket > _LARGEST_TICKET:
        raise Http404
    return own_account(request, account_id)


def _asked(request: HttpRequest, form: KeyedForm, **wanted: Any) -> dict[str, Any]:
    return {
        "user": signed_in(request),
        "origin": Order.Origin.TICKET,
        "idempotency_key": form.cleaned_data["key"],
        "now": timezone.now(),
        **wanted,
    }


def _context(name: str, account: Any, ticket: int, form: KeyedForm) -> dict[str, Any]:
    address = reverse(name, args=[account.pk, ticket])
    return {"account": account, "ticket": ticket, "form": form, "address": address}


def _pending_initial(order: Any) -> dict[str, Any]:
    if order is None:
        return {}
    facts = order.facts
    return {"price": facts["price_open"], "stop_loss": facts["sl"], "take_profit": facts["tp"]}

"""The orders of an account: what waits at the broker, and the ledger of what was sent."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import ConnectedAccount
from accounts.views.lookups import own_account
from accounts.views.modals import render_framed
from risk.models import Order
from risk.models.order import OrderQuerySet
from risk.presentation.orders import check_rows, hops, order_row, order_rows
from risk.presentation.pending import pending_rows
from risk.selectors import checks_of

LATEST = 8
PAGE_LENGTH = 50


@login_required
@require_safe
def account_orders(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Show the pending orders of an account and the latest lines of its ledger."""
    account = own_account(request, account_id)
    latest = list(own_orders(account)[: LATEST + 1])
    context = {
        "account": account,
        "pending": pending_rows(account, now=timezone.now()),
        "rows": order_rows(latest[:LATEST]),
        "has_more": len(latest) > LATEST,
        "is_unfinished": any(order.state in Order.UNFINISHED for order in latest),
    }
    return render(request, "risk/orders.html", context)


@login_required
@require_safe
def account_order_log(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    page = Paginator(own_orders(account), PAGE_LENGTH).get_page(request.GET.get("page"))
    context = {"account": account, "page": page, "rows": order_rows(page)}
    return render(request, "risk/order_log.html", context)


@login_required
@require_safe
def account_order(request: HttpRequest, account_id: UUID, order_id: UUID) -> HttpResponse:
    """Show one order: what became of it, what the gate said, and how long each step took."""
    account = own_account(request, account_id)
    order = own_order(account, order_id)
    return render_framed(request, "risk/order.html", order_context(account, order))


def order_context(account: ConnectedAccount, order: Order) -> dict[str, object]:
    checks = checks_of([order]).get(order.pk, [])
    return {
        "account": account,
        "row": order_row(order),
        "checks": check_rows(checks),
        "hops": hops(order),
        "is_unfinished": order.state in Order.UNFINISHED,
    }


def own_order(account: ConnectedAccount, order_id: UUID) -> Order:
    order = own_orders(account).filter(pk=order_id).first()
    if order is None:
        raise Http404
    return order


def own_orders(account: ConnectedAccount) -> OrderQuerySet:
    return Order.objects.owned_by(account.user_id).filter(account_id=account.pk)

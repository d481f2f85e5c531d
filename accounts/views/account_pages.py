"""One account: its page, and the parts that the page loads and loads again."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.screen.account_health import health_panel
from accounts.screen.account_notices import account_notices, greetings
from accounts.screen.deal_rows import deal_rows
from accounts.screen.equity_curve import PERIODS, equity_curve, period_named
from accounts.selectors import connection_log, deals_of
from accounts.views.lookups import own_account, own_accounts, signed_in

LOG_LENGTH = 8
LOG_PAGE_LENGTH = 50
DEALS_LENGTH = 8
DEALS_PAGE_LENGTH = 50


@login_required
@require_safe
def account_detail(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    context = {"account": account, "notices": account_notices(account, now=timezone.now())}
    return render(request, "accounts/detail.html", context)


@login_required
@require_safe
def account_connection(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Show the state of the connection, with its reason, and its latest changes."""
    account = own_account(request, account_id)
    context = {"account": account, "changes": connection_log(account)[:LOG_LENGTH]}
    return render(request, "accounts/connection.html", context)


@login_required
@require_safe
def account_connection_log(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    page = Paginator(connection_log(account), LOG_PAGE_LENGTH).get_page(request.GET.get("page"))
    return render(request, "accounts/connection_log.html", {"account": account, "page": page})


@login_required
@require_safe
def account_health(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    context = {"account": account, "health": health_panel(account, now=timezone.now())}
    return render(request, "accounts/health.html", context)


@login_required
@require_safe
def account_equity(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    period = period_named(request.GET.get("period"))
    context = {
        "account": account,
        "period": period,
        "periods": PERIODS,
        "curve": equity_curve(account, period, now=timezone.now()),
    }
    return render(request, "accounts/equity.html", context)


@login_required
@require_safe
def account_latest_deals(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    deals = list(deals_of(account)[: DEALS_LENGTH + 1])
    context = {
        "account": account,
        "rows": deal_rows(deals[:DEALS_LENGTH]),
        "has_more": len(deals) > DEALS_LENGTH,
    }
    return render(request, "accounts/deals_latest.html", context)


@login_required
@require_safe
def account_deals(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    page = Paginator(deals_of(account), DEALS_PAGE_LENGTH).get_page(request.GET.get("page"))
    context = {"account": account, "page": page, "rows": deal_rows(page)}
    return render(request, "accounts/deals.html", context)


@login_required
@require_safe
def account_greeting(request: HttpRequest) -> HttpResponse:
    """Say what matters about accounts (`?id=…&id=…`) whose connection has just come up."""
    accounts = own_accounts(signed_in(request), request.GET.getlist("id"))
    context: dict[str, Any] = {"greetings": greetings(accounts, now=timezone.now())}
    return render(request, "accounts/greeting.html", context)

"""The risk of all accounts, of a group, or of chosen accounts taken together."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import ConnectedAccount
from accounts.selectors import accounts_of
from accounts.views.lookups import own_accounts, signed_in
from groups.models import AccountGroup
from risk.portfolio import portfolio_risk
from risk.presentation.portfolio import portfolio_view
from risk.views.scopes import Scope, asked_scope, everything


@login_required
@require_safe
def portfolio(request: HttpRequest) -> HttpResponse:
    """Choose whose risk to look at; the numbers come as a part of their own."""
    user = signed_in(request)
    scope, chosen = _asked(request)
    context = {
        "scope": scope,
        "groups": AccountGroup.objects.owned_by(user).order_by("name", "pk"),
        "accounts": accounts_of(user).filter(is_active=True).order_by("name", "pk"),
        "chosen": {account.pk for account in chosen} if chosen else set(),
        "query": request.GET.urlencode(),
    }
    return render(request, "risk/portfolio.html", context)


@login_required
@require_safe
def portfolio_figures(request: HttpRequest) -> HttpResponse:
    scope, chosen = _asked(request)
    accounts = chosen or scope.accounts
    risk = portfolio_risk(user=scope.user, accounts=accounts, now=timezone.now())
    context = {"view": portfolio_view(risk), "query": request.GET.urlencode()}
    return render(request, "risk/portfolio_figures.html", context)


def _asked(request: HttpRequest) -> tuple[Scope, list[ConnectedAccount]]:
    """Return the group or account that the address names, or the accounts (`?id=…&id=…`)."""
    named = request.GET.getlist("id")
    if not named:
        return asked_scope(request), []
    user = signed_in(request)
    return everything(user), own_accounts(user, named)

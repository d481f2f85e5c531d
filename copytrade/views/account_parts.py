"""What the page of an account shows of copying, loaded by its address."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.views.lookups import own_account, signed_in
from copytrade.screen.relationships import relationship_rows
from copytrade.selectors.relationships import followers_of, providers_of

_MOST_ROWS = 8


@login_required
@require_safe
def account_copying(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Show whom an account copies and who copies it."""
    account, user = own_account(request, account_id), signed_in(request)
    followers, providers = followers_of(account), providers_of(account)
    context = {
        "account": account,
        "followers": relationship_rows(user, followers[:_MOST_ROWS]),
        "follower_count": followers.count(),
        "providers": relationship_rows(user, providers[:_MOST_ROWS]),
        "provider_count": providers.count(),
    }
    return render(request, "copytrade/account.html", context)

"""What matters about an account, compared with its own margin cut-off."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.screen.account_notices import account_notices
from accounts.views.lookups import own_account
from risk.services.cutoff import cutoff_terms_on


@login_required
@require_safe
def notices(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    cut_off_percent = float(cutoff_terms_on(account).liquidation_level)
    found = account_notices(account, now=timezone.now(), cut_off_percent=cut_off_percent)
    return render(request, "accounts/notices.html", {"account": account, "notices": found})

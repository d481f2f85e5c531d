"""The ledger of breaches: what was violated, what was done about it, who cleared it and why."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.views.lookups import signed_in
from risk.forms import BreachListForm
from risk.presentation.breaches import breach_page, breach_rows
from risk.selectors import breaches_of

PAGE_LENGTH = 50


@login_required
@require_safe
def breach_list(request: HttpRequest) -> HttpResponse:
    own = breaches_of(signed_in(request))
    form = BreachListForm(request.GET, breaches=own)
    chosen = form.narrow(own, now=timezone.now()).defer("evidence")
    page = Paginator(chosen, PAGE_LENGTH).get_page(request.GET.get("page"))
    asked = request.GET.copy()
    asked.pop("page", None)
    context = {
        "tab": "breaches",
        "form": form,
        "page": page,
        "rows": breach_rows(page.object_list),
        "is_narrowed": bool(form.wanted()),
        "query": asked.urlencode(),
    }
    return render(request, "risk/breach_list.html", context)


@login_required
@require_safe
def breach_detail(request: HttpRequest, breach_id: UUID) -> HttpResponse:
    breach = get_object_or_404(breaches_of(signed_in(request)), pk=breach_id)
    return render(
        request,
        "risk/breach_detail.html",
        {"tab": "breaches", "breach": breach, **breach_page(breach)},
    )

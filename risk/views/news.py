"""The news calendar that a user imports, for the rules around news."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.refusals import Refusal
from accounts.views.lookups import signed_in
from risk.core.rule_types import WindowKind
from risk.forms import NewsImportForm
from risk.models import NewsCalendar, NewsEvent, RiskRule
from risk.services.news import clear_calendar, import_calendar

NEXT_EVENTS = 50


@login_required
@require_http_methods(["GET", "POST"])
def news_calendar(request: HttpRequest) -> HttpResponse:
    """Show what the calendar has and how far it reaches, and take another one."""
    user, now = signed_in(request), timezone.now()
    is_sent = request.method == "POST"
    form = NewsImportForm(request.POST if is_sent else None, request.FILES if is_sent else None)
    if is_sent and form.is_valid():
        try:
            done = import_calendar(user=user, now=now, **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            plural = "" if done.added == 1 else "s"
            messages.success(request, f"{done.added:,} event{plural} imported.")
            return redirect("news-calendar")
    events = NewsEvent.objects.filter(user=user)
    calendar = NewsCalendar.objects.filter(user=user).first()
    news_rules = (
        RiskRule.objects.owned_by(user)
        .active()
        .filter(rule_type=RiskRule.Type.TRADING_WINDOW, parameters__kind=WindowKind.NEWS.value)
    )
    context = {
        "tab": "news",
        "form": form,
        "calendar": calendar,
        "is_over": calendar is not None and calendar.covers_until_at < now,
        "is_ahead": calendar is not None and calendar.covers_from_at > now,
        "event_count": events.count(),
        "events": events.filter(at__gte=now)[:NEXT_EVENTS],
        "rules": list(news_rules),
    }
    return render(request, "risk/news.html", context)


@login_required
@require_POST
def news_clear(request: HttpRequest) -> HttpResponse:
    count = clear_calendar(user=signed_in(request))
    messages.success(request, f"The calendar is deleted, with its {count:,} events.")
    return redirect("news-calendar")

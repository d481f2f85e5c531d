"""Arming: people look at what a rule would do right now before it may close anything."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import trigger_client_event

from accounts.models import User
from accounts.refusals import Refusal
from accounts.views.lookups import own_account, signed_in
from accounts.views.modals import close_modal, render_framed
from risk.models import RiskRule
from risk.presentation.arming import arming_rows
from risk.selectors import rules_of
from risk.services.arming import ArmingView, arm_rule, arming_views, disarm_rule


@login_required
@require_http_methods(["GET", "POST"])
def rule_arming(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    """Show what one rule would do on each of its accounts, and arm it where it is chosen."""
    rule = get_object_or_404(rules_of(signed_in(request)), pk=rule_id)
    views = arming_views(rules=[rule], now=timezone.now())
    context = {
        "title": f"Arm “{rule.name}”",
        "address": reverse("rule-arming", args=[rule.pk]),
        "back": reverse("rule-list"),
        "back_name": "Rules",
        "is_of_rule": True,
    }
    return _arming(request, views, context)


@login_required
@require_http_methods(["GET", "POST"])
def account_arming(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Show what every rule would do on one account, and arm those that are chosen."""
    account = own_account(request, account_id)
    views = arming_views(account=account, now=timezone.now())
    context = {
        "title": f"Arm the rules on {account.name}",
        "address": reverse("account-arming", args=[account.pk]),
        "back": reverse("account-detail", args=[account.pk]),
        "back_name": account.name,
        "is_of_rule": False,
    }
    return _arming(request, views, context)


@login_required
@require_safe
def arming_hint(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Say on the page of an account that some of its rules may not act yet."""
    account = own_account(request, account_id)
    views = arming_views(account=account, now=timezone.now())
    waiting = [view for view in views if not view.is_armed]
    return render(request, "risk/arming_hint.html", {"account": account, "waiting": waiting})


def _arming(
    request: HttpRequest, views: Sequence[ArmingView], context: dict[str, object]
) -> HttpResponse:
    trouble = ""
    if request.method == "POST":
        chosen = set(request.POST.getlist("pair"))
        picked = [view for view in views if _key(view) in chosen]
        is_disarming = request.POST.get("do") == "disarm"
        try:
            if not picked:
                raise Refusal("Choose at least one.", code="nothing_chosen")
            count = _change(picked, signed_in(request), is_disarming=is_disarming)
        except (ValidationError, Refusal) as error:
            trouble = error.sentence if isinstance(error, Refusal) else " ".join(error.messages)
        else:
            messages.success(request, _done_sentence(count, is_disarming=is_disarming))
            answer = close_modal(request, otherwise=str(context["back"]))
            return trigger_client_event(answer, "arming-changed", after="settle")
    rows = arming_rows(views)
    counted = {"waiting_count": sum(not row.is_armed for row in rows)}
    return render_framed(
        request, "risk/arming.html", {**context, "rows": rows, "trouble": trouble, **counted}
    )


@transaction.atomic
def _change(picked: Iterable[ArmingView], actor: User, *, is_disarming: bool) -> int:
    """Arm or disarm all that was picked, or nothing of it."""
    by_rule: dict[RiskRule, list[ArmingView]] = {}
    for view in picked:
        if view.is_armed == is_disarming:
            by_rule.setdefault(view.rule, []).append(view)
    change = disarm_rule if is_disarming else arm_rule
    for rule, views in by_rule.items():
        accounts = [view.account for view in views]
        change(rule=rule, accounts=accounts, actor=actor, now=timezone.now())
    return sum(map(len, by_rule.values()))


def _key(view: ArmingView) -> str:
    return f"{view.rule.pk}:{view.account.pk}"


def _done_sentence(count: int, *, is_disarming: bool) -> str:
    what = "disarmed" if is_disarming else "armed"
    if count == 1:
        return f"The rule is {what}."
    return f"{count} rules on accounts are {what}."

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.refusals import Refusal
from accounts.views.lookups import own_account, signed_in
from risk.forms import AcknowledgeForm, RuleForm
from risk.models import RiskRule, RuleBreach
from risk.presentation.rules import preview_sentence, rule_cards
from risk.selectors import rules_of
from risk.services.breaches import reset_rule
from risk.services.rules import create_rule, delete_rule, update_rule


def own_rule(request: HttpRequest, rule_id: UUID) -> RiskRule:
    return get_object_or_404(rules_of(signed_in(request)), pk=rule_id)


@login_required
@require_safe
def rule_list(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    cards = rule_cards(rules_of(user), RuleBreach.objects.owned_by(user).latched())
    return render(request, "risk/rule_list.html", {"cards": cards})


@login_required
@require_http_methods(["GET", "POST"])
def rule_create(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = RuleForm(request.POST or None, user=user, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        try:
            rule = create_rule(user=user, **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"“{rule.name}” is added.")
            return redirect("rule-list")
    return render(request, "risk/rule_form.html", {"form": form})


@login_required
@require_http_methods(["GET", "POST"])
def rule_update(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    rule = own_rule(request, rule_id)
    form = RuleForm(request.POST or None, user=signed_in(request), rule=rule)
    if request.method == "POST" and form.is_valid():
        try:
            rule = update_rule(rule=rule, **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"“{rule.name}” is saved.")
            return redirect("rule-list")
    return render(request, "risk/rule_form.html", {"form": form, "rule": rule})


@login_required
@require_safe
def rule_fields(request: HttpRequest) -> HttpResponse:
    """Show the fields of the rule type that was chosen, keeping what was typed."""
    typed = {name: value for name, value in request.GET.dict().items() if value}
    form = RuleForm(user=signed_in(request), initial=typed)
    return render(request, "risk/rule_fields.html", {"form": form})


@login_required
@require_POST
def rule_preview(request: HttpRequest) -> HttpResponse:
    """Say in one sentence what the rule that is being typed will do."""
    form = RuleForm(request.POST, user=signed_in(request))
    form.is_valid()
    return render(request, "risk/rule_preview.html", {"sentence": preview_sentence(form)})


@login_required
@require_http_methods(["GET", "POST"])
def rule_delete(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    rule = own_rule(request, rule_id)
    if request.method == "GET":
        return render(request, "risk/rule_delete.html", {"rule": rule})
    try:
        delete_rule(rule=rule)
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.success(request, f"“{rule.name}” is deleted; its violations stay in the ledger.")
    return redirect("rule-list")


@login_required
@require_http_methods(["GET", "POST"])
def rule_acknowledge(request: HttpRequest, rule_id: UUID, account_id: UUID) -> HttpResponse:
    rule, account = own_rule(request, rule_id), own_account(request, account_id)
    user, now = signed_in(request), timezone.now()
    form = AcknowledgeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            reason = form.cleaned_data["reason"]
            breach = reset_rule(rule=rule, account=account, actor=user, reason=reason, now=now)
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, _acknowledged(rule, account.name, breach.cleared_at))
            return redirect("account-detail", account.pk)
    latched = RuleBreach.objects.owned_by(user).latched()
    breach_now = latched.filter(rule_id=rule.pk, account_id=account.pk).first()
    context = {"form": form, "rule": rule, "account": account, "breach": breach_now}
    return render(request, "risk/acknowledge.html", context)


def _acknowledged(rule: RiskRule, account_name: str, cleared_at: datetime | None) -> str:
    if cleared_at is not None:
        return f"“{rule.name}” watches {account_name} anew."
    return f"Acknowledged. “{rule.name}” stays violated on {account_name}."

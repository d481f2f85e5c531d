"""The list of rules, and one rule: made, changed, deleted, its violation acknowledged."""

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import trigger_client_event

from accounts.refusals import Refusal
from accounts.views.lookups import own_account, signed_in
from accounts.views.modals import close_modal, render_framed
from risk.core.rule_types import ARMED_ACTIONS
from risk.field_types import plain
from risk.forms import AcknowledgeForm, CutoffForm, RuleForm, RuleListForm
from risk.models import RiskRule, RuleBreach
from risk.presentation.rule_answers import rule_answers
from risk.presentation.rule_cards import live_cells, narrowed, rule_cards
from risk.presentation.rules import preview_sentence
from risk.selectors import rules_of
from risk.services.breaches import reset_rule
from risk.services.cutoff import cutoff_terms, set_cutoff
from risk.services.references import LOSS_TYPES
from risk.services.rules import create_rule, delete_rule, update_rule


def own_rule(request: HttpRequest, rule_id: UUID) -> RiskRule:
    return get_object_or_404(rules_of(signed_in(request)), pk=rule_id)


@login_required
@require_safe
def rule_list(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    cards = rule_cards(user, now=timezone.now())
    form = RuleListForm(request.GET, user=user)
    context = {
        "tab": "rules",
        "cards": narrowed(cards, form.wanted()),
        "form": form,
        "is_narrowed": bool(form.wanted()),
        "own_count": sum(not card.rule.is_cutoff for card in cards),
        "has_cutoff": any(card.rule.is_cutoff for card in cards),
        "cutoff": cutoff_terms(user),
    }
    return render(request, "risk/rule_list.html", context)


@login_required
@require_safe
def rule_statuses(request: HttpRequest) -> JsonResponse:
    """Return where every rule stands, as patches of the cells of its card."""
    cells = live_cells(signed_in(request), now=timezone.now())
    return JsonResponse([cell.patch() for cell in cells], safe=False)


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
            return _after_saving(rule)
    return render(request, "risk/rule_form.html", {"form": form})


@login_required
@require_http_methods(["GET", "POST"])
def rule_update(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    rule = own_rule(request, rule_id)
    if rule.is_cutoff:
        return redirect("rule-cutoff")
    form = RuleForm(request.POST or None, user=signed_in(request), rule=rule)
    if request.method == "POST" and form.is_valid():
        try:
            rule = update_rule(rule=rule, **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"“{rule.name}” is saved.")
            return _after_saving(rule)
    return render(request, "risk/rule_form.html", {"form": form, "rule": rule})


def _after_saving(rule: RiskRule) -> HttpResponse:
    """Lead on to the arming where the rule may close something: it asks before it acts."""
    if rule.is_active and rule.action in ARMED_ACTIONS:
        return redirect("rule-arming", rule.pk)
    return redirect("rule-list")


@login_required
@require_http_methods(["GET", "POST"])
def rule_cutoff(request: HttpRequest) -> HttpResponse:
    """Show and change the margin levels of the cut-off that everybody has."""
    user = signed_in(request)
    terms = cutoff_terms(user)
    initial = {
        "warning_level": plain(terms.warning_level),
        "liquidation_level": plain(terms.liquidation_level),
    }
    form = CutoffForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            set_cutoff(user=user, **form.cleaned_data)
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, "The levels of the margin cut-off are saved.")
            return redirect("rule-list")
    rule = RiskRule.objects.owned_by(user).filter(is_cutoff=True).first()
    return render(request, "risk/rule_cutoff.html", {"form": form, "rule": rule})


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
@require_POST
def rule_answers_now(request: HttpRequest) -> HttpResponse:
    """Say what the rule that is being typed would say now on each account that it is for."""
    user = signed_in(request)
    form = RuleForm(request.POST, user=user)
    form.is_valid()
    answers = rule_answers(user, form, now=timezone.now())
    return render(request, "risk/rule_answers.html", {"answers": answers})


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
    # Only a loss of the user's own rule can be counted anew; a firm's floor never moves.
    may_take_reference = not rule.is_firm_rule and rule.rule_type in LOSS_TYPES
    form = AcknowledgeForm(request.POST or None, may_take_reference=may_take_reference)
    if request.method == "POST" and form.is_valid():
        try:
            breach = reset_rule(
                rule=rule,
                account=account,
                actor=user,
                reason=form.cleaned_data["reason"],
                now=now,
                new_reference=form.wants_new_reference,
            )
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, _acknowledged(rule, account.name, breach.cleared_at))
            answer = close_modal(request, otherwise=reverse("account-detail", args=[account.pk]))
            return trigger_client_event(answer, "standing-changed", after="settle")
    latched = RuleBreach.objects.owned_by(user).latched()
    breach_now = latched.filter(rule_id=rule.pk, account_id=account.pk).first()
    context = {"form": form, "rule": rule, "account": account, "breach": breach_now}
    return render_framed(request, "risk/acknowledge.html", context)


def _acknowledged(rule: RiskRule, account_name: str, cleared_at: datetime | None) -> str:
    if cleared_at is not None:
        return f"“{rule.name}” watches {account_name} anew."
    return f"Acknowledged. “{rule.name}” stays violated on {account_name}."

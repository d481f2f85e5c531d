"""Where single accounts differ from a rule that they share."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.refusals import Refusal
from accounts.views.lookups import own_account, signed_in
from risk.forms import OverrideForm
from risk.models import RiskRule
from risk.presentation.overrides import override_rows
from risk.presentation.rules import stored_sentence
from risk.selectors import rules_of
from risk.services.overrides import clear_override, set_override


def _own_rule(request: HttpRequest, rule_id: UUID) -> RiskRule:
    return get_object_or_404(rules_of(signed_in(request)), pk=rule_id)


@login_required
@require_safe
def override_list(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    rule = _own_rule(request, rule_id)
    context = {"rule": rule, "rows": override_rows(rule), "sentence": stored_sentence(rule)}
    return render(request, "risk/override_list.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def override_update(request: HttpRequest, rule_id: UUID, account_id: UUID) -> HttpResponse:
    """Let a rule differ on one account; "clear" makes it there what it is elsewhere."""
    rule, account = _own_rule(request, rule_id), own_account(request, account_id)
    user = signed_in(request)
    override = rule.overrides.filter(account=account).first()
    data = request.POST if request.method == "POST" else None
    form = OverrideForm(data, rule=rule, override=override)
    if request.method == "POST":
        try:
            if "clear" in request.POST:
                clear_override(rule=rule, account=account, actor=user)
                messages.success(request, f"“{rule.name}” is on {account.name} what it is.")
                return redirect("rule-overrides", rule.pk)
            if form.is_valid():
                set_override(rule=rule, account=account, actor=user, **form.changes())
                messages.success(request, f"“{rule.name}” differs on {account.name}.")
                return redirect("rule-overrides", rule.pk)
        except (ValidationError, Refusal) as error:
            form.is_valid()
            form.take_error(error)
    context = {
        "rule": rule,
        "account": account,
        "override": override,
        "form": form,
        "sentence": stored_sentence(rule),
    }
    return render(request, "risk/override_form.html", context)

"""Presets: the firms' programs and the user's own, put on accounts and groups."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import ConnectedAccount
from accounts.refusals import Refusal
from accounts.views.lookups import signed_in
from accounts.views.modals import is_htmx, render_framed
from groups.models import AccountGroup
from risk.core.rule_types import ARMED_ACTIONS
from risk.forms import PresetForm, UsePresetForm
from risk.models import RiskRule, RulePreset
from risk.presentation.presets import FirmPresets, preset_card, preset_shelf
from risk.presets.catalogue import Preset, left_out
from risk.services.presets import (
    apply_preset,
    delete_preset,
    preset_of,
    presets_for,
    save_preset,
    update_preset,
)


@login_required
@require_safe
def preset_list(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    shelf: list[FirmPresets] = preset_shelf(presets_for(user))
    context = {
        "tab": "presets",
        "own": [firm for firm in shelf if not firm.name],
        "firms": [firm for firm in shelf if firm.name],
        "left_out": left_out(),
        "target": _target(request),
        "accounts": ConnectedAccount.objects.owned_by(user).order_by("name", "pk"),
        "groups": AccountGroup.objects.owned_by(user).order_by("name", "pk"),
    }
    return render(request, "risk/preset_list.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def preset_use(request: HttpRequest, preset_key: str) -> HttpResponse:
    """Ask which accounts and groups a preset goes to, and put it there."""
    user = signed_in(request)
    preset = preset_of(user, preset_key)
    if preset is None:
        raise Http404
    initial = _chosen(request)
    form = UsePresetForm(request.POST or None, user=user, preset=preset, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            rules = apply_preset(user=user, preset=preset, **form.cleaned_data)
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            return _after_use(request, preset, rules, form.cleaned_data)
    context = {"form": form, "card": preset_card(preset)}
    return render_framed(request, "risk/preset_use.html", context)


def _after_use(
    request: HttpRequest, preset: Preset, rules: Sequence[RiskRule], chosen: dict[str, Any]
) -> HttpResponse:
    """Lead on to where the rules are armed: until then they only warn and block."""
    plural = "" if len(rules) == 1 else "s"
    text = f"“{preset.name}” is in force: {len(rules)} rule{plural}."
    accounts, groups = list(chosen["accounts"]), list(chosen["groups"])
    address = reverse("rule-list")
    if any(rule.action in ARMED_ACTIONS for rule in rules):
        text += " What they would close waits until you arm them."
        if len(accounts) == 1 and not groups:
            address = reverse("account-arming", args=[accounts[0].pk])
        elif len(groups) == 1 and not accounts:
            address += f"?group={groups[0].pk}"
    messages.success(request, text)
    return HttpResponseClientRedirect(address) if is_htmx(request) else redirect(address)


@login_required
@require_http_methods(["GET", "POST"])
def preset_create(request: HttpRequest) -> HttpResponse:
    """Save rules that exist as a preset."""
    user = signed_in(request)
    form = PresetForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            row = save_preset(user=user, **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"The preset “{row.name}” is saved.")
            return redirect("preset-list")
    return render(request, "risk/preset_form.html", {"form": form, "tab": "presets"})


@login_required
@require_http_methods(["GET", "POST"])
def preset_update(request: HttpRequest, preset_id: UUID) -> HttpResponse:
    user = signed_in(request)
    row = get_object_or_404(RulePreset.objects.owned_by(user), pk=preset_id)
    form = PresetForm(request.POST or None, user=user, preset=row)
    if request.method == "POST" and form.is_valid():
        try:
            row = update_preset(preset=row, **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"The preset “{row.name}” is saved.")
            return redirect("preset-list")
    return render(request, "risk/preset_form.html", {"form": form, "preset": row})


@login_required
@require_http_methods(["GET", "POST"])
def preset_delete(request: HttpRequest, preset_id: UUID) -> HttpResponse:
    row = get_object_or_404(RulePreset.objects.owned_by(signed_in(request)), pk=preset_id)
    if request.method == "POST":
        delete_preset(preset=row)
        messages.success(request, f"The preset “{row.name}” is deleted; its rules stay.")
        return redirect("preset-list")
    context = {
        "name": row.name,
        "what": "preset",
        "consequence": "The rules that were made from it stay as they are.",
        "back": reverse("preset-list"),
    }
    return render(request, "risk/saved_delete.html", context)


def _chosen(request: HttpRequest) -> dict[str, list[str]]:
    """Return what the page before has chosen already, for the boxes of the form."""
    return {
        "accounts": request.GET.getlist("account"),
        "groups": request.GET.getlist("group"),
    }


def _target(request: HttpRequest) -> dict[str, object]:
    """Return the one account or group that a preset is looked for, as the links carry it on."""
    kind, _, key = request.GET.get("for", "").partition(":")
    user = signed_in(request)
    try:
        if kind == "account":
            account = ConnectedAccount.objects.owned_by(user).get(pk=UUID(key))
            return {"query": f"account={account.pk}", "pk": account.pk}
        if kind == "group":
            group = AccountGroup.objects.owned_by(user).get(pk=UUID(key))
            return {"query": f"group={group.pk}", "pk": group.pk}
    except (ValueError, ConnectedAccount.DoesNotExist, AccountGroup.DoesNotExist):
        pass
    return {}

"""Group templates: what new groups begin with."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from accounts.refusals import Refusal
from accounts.views.lookups import signed_in
from risk.forms import TemplateForm, UseTemplateForm
from risk.models import GroupTemplate
from risk.presentation.presets import template_cards
from risk.services.templates import (
    apply_template,
    delete_template,
    save_template,
    update_template,
)


def own_template(request: HttpRequest, template_id: UUID) -> GroupTemplate:
    own = GroupTemplate.objects.owned_by(signed_in(request))
    return get_object_or_404(own, pk=template_id)


@login_required
@require_safe
def template_list(request: HttpRequest) -> HttpResponse:
    templates = list(GroupTemplate.objects.owned_by(signed_in(request)))
    context = {"tab": "templates", "cards": template_cards(templates)}
    return render(request, "risk/template_list.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def template_create(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = TemplateForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            row = save_template(user=user, **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"The template “{row.name}” is saved.")
            return redirect("template-list")
    return render(request, "risk/template_form.html", {"form": form})


@login_required
@require_http_methods(["GET", "POST"])
def template_update(request: HttpRequest, template_id: UUID) -> HttpResponse:
    row = own_template(request, template_id)
    form = TemplateForm(request.POST or None, user=signed_in(request), preset=row)
    if request.method == "POST" and form.is_valid():
        try:
            row = update_template(template=row, **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"The template “{row.name}” is saved.")
            return redirect("template-list")
    return render(request, "risk/template_form.html", {"form": form, "template": row})


@login_required
@require_http_methods(["GET", "POST"])
def template_delete(request: HttpRequest, template_id: UUID) -> HttpResponse:
    row = own_template(request, template_id)
    if request.method == "POST":
        delete_template(template=row)
        messages.success(request, f"The template “{row.name}” is deleted; its groups stay.")
        return redirect("template-list")
    context = {
        "name": row.name,
        "what": "template",
        "consequence": "The groups that were made from it stay as they are.",
        "back": reverse("template-list"),
    }
    return render(request, "risk/saved_delete.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def template_use(request: HttpRequest, template_id: UUID) -> HttpResponse:
    """Make a new group of accounts with the rules and tags of a template."""
    row, user = own_template(request, template_id), signed_in(request)
    form = UseTemplateForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            group = apply_template(user=user, template=row, **form.cleaned_data)
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(
                request,
                f"The group “{group.name}” is made. What its rules would close waits until you"
                " arm them.",
            )
            return redirect("group-detail", group.pk)
    context = {"form": form, "card": template_cards([row])[0]}
    return render(request, "risk/template_use.html", context)

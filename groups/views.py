from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.refusals import Refusal
from accounts.views.lookups import signed_in
from groups.forms import GroupForm, MembersForm
from groups.models import AccountGroup
from groups.selectors import groups_of
from groups.services import create_group, delete_group, update_group


def own_group(request: HttpRequest, group_id: UUID) -> AccountGroup:
    return get_object_or_404(groups_of(signed_in(request)), pk=group_id)


@login_required
@require_safe
def group_list(request: HttpRequest) -> HttpResponse:
    group_count = AccountGroup.objects.owned_by(signed_in(request)).count()
    return render(request, "groups/list.html", {"group_count": group_count})


@login_required
@require_safe
def group_detail(request: HttpRequest, group_id: UUID) -> HttpResponse:
    group = own_group(request, group_id)
    context = {"group": group, "members_form": MembersForm(group=group)}
    return render(request, "groups/detail.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def group_create(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = GroupForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            group = create_group(user=user, **form.cleaned_data)
        except ValidationError as error:
            form.take_error(error)
        else:
            messages.success(request, f"{group.name} is created.")
            return redirect("group-detail", group.pk)
    return render(request, "groups/form.html", {"form": form})


@login_required
@require_http_methods(["GET", "POST"])
def group_update(request: HttpRequest, group_id: UUID) -> HttpResponse:
    group = own_group(request, group_id)
    name = group.name
    form = GroupForm(request.POST or None, instance=group, user=signed_in(request))
    if request.method == "POST" and form.is_valid():
        try:
            group = update_group(group=group, **form.cleaned_data)
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"{group.name} is saved.")
            return redirect("group-detail", group.pk)
    return render(request, "groups/form.html", {"form": form, "group": group, "group_name": name})


@login_required
@require_POST
def group_members(request: HttpRequest, group_id: UUID) -> HttpResponse:
    group = own_group(request, group_id)
    form = MembersForm(request.POST, group=group)
    if form.is_valid():
        try:
            update_group(group=group, accounts=form.cleaned_data["accounts"])
        except (ValidationError, Refusal) as error:
            messages.error(request, "; ".join(_sentences(error)))
        else:
            messages.success(request, f"The members of {group.name} are saved.")
    else:
        messages.error(request, "One of these accounts does not exist any more.")
    return redirect("group-detail", group.pk)


@login_required
@require_http_methods(["GET", "POST"])
def group_delete(request: HttpRequest, group_id: UUID) -> HttpResponse:
    group = own_group(request, group_id)
    if request.method == "GET":
        return render(request, "groups/delete.html", {"group": group})
    try:
        delete_group(group=group)
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect("group-detail", group.pk)
    messages.success(request, f"{group.name} is deleted; its accounts stay.")
    return redirect("group-list")


def _sentences(error: ValidationError | Refusal) -> list[str]:
    return [error.sentence] if isinstance(error, Refusal) else list(error.messages)

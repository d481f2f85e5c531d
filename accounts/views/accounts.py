from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms.accounts import AccountForm
from accounts.origin import Origin
from accounts.refusals import Refusal
from accounts.screen.account_list import account_list as listed_accounts
from accounts.services.accounts import create_account, delete_account, update_account
from accounts.views.lookups import own_account, signed_in
from accounts.views.modals import close_modal, render_framed


@login_required
@require_safe
def account_list(request: HttpRequest) -> HttpResponse:
    listed = listed_accounts(signed_in(request), request.GET, now=timezone.now())
    return render(request, "accounts/list.html", {"list": listed})


@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "POST"])
def account_create(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = AccountForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            account = create_account(user=user, origin=Origin.of_request(request), **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"{account.name} is added.")
            return close_modal(request, otherwise=reverse("account-detail", args=[account.pk]))
    return render_framed(request, "accounts/form.html", {"form": form})


@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "POST"])
def account_update(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    form = AccountForm(request.POST or None, instance=account, user=signed_in(request))
    name = account.name
    if request.method == "POST" and form.is_valid():
        try:
            account = update_account(
                account=account, origin=Origin.of_request(request), **form.changes()
            )
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"{account.name} is saved.")
            return close_modal(request, otherwise=reverse("account-detail", args=[account.pk]))
    context = {"form": form, "account": account, "account_name": name}
    return render_framed(request, "accounts/form.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def account_delete(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    if request.method == "GET":
        is_shared = account.api_key is not None and account.api_key.accounts.count() > 1
        context = {"account": account, "is_key_shared": is_shared}
        return render_framed(request, "accounts/delete.html", context)
    page = reverse("account-detail", args=[account.pk])
    try:
        delete_account(account=account, origin=Origin.of_request(request))
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return close_modal(request, otherwise=page)
    messages.success(request, f"{account.name} is deleted.")
    return close_modal(request, otherwise=reverse("account-list"), leave=page)

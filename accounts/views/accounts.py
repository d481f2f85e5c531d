from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.forms.accounts import AccountForm
from accounts.refusals import Refusal
from accounts.screen.account_rows import account_rows
from accounts.selectors import accounts_of, connection_log
from accounts.services.accounts import create_account, delete_account, update_account
from accounts.services.watching import connect_account, disconnect_account
from accounts.views.lookups import own_account, signed_in

LOG_LENGTH = 8


@login_required
@require_safe
def account_list(request: HttpRequest) -> HttpResponse:
    accounts = accounts_of(signed_in(request)).order_by("name", "pk")
    rows = account_rows(accounts, now=timezone.now())
    return render(request, "accounts/list.html", {"rows": rows})


@login_required
@require_safe
def account_cells(request: HttpRequest) -> JsonResponse:
    """Return what moves in the list of accounts, as patches of its cells."""
    rows = account_rows(accounts_of(signed_in(request)), now=timezone.now())
    patches = [cell.patch() for row in rows for cell in row.cells]
    return JsonResponse(patches, safe=False)


@login_required
@require_safe
def account_detail(request: HttpRequest, account_id: UUID) -> HttpResponse:
    return render(request, "accounts/detail.html", {"account": own_account(request, account_id)})


@login_required
@require_safe
def account_connection(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Show the state of the connection, with its reason, and its latest changes."""
    account = own_account(request, account_id)
    context = {"account": account, "changes": connection_log(account)[:LOG_LENGTH]}
    return render(request, "accounts/connection.html", context)


@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "POST"])
def account_create(request: HttpRequest) -> HttpResponse:
    form = AccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            account = create_account(user=signed_in(request), **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"{account.name} is added.")
            return redirect("account-detail", account.pk)
    return render(request, "accounts/form.html", {"form": form})


@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "POST"])
def account_update(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    form = AccountForm(request.POST or None, instance=account)
    name = account.name
    if request.method == "POST" and form.is_valid():
        try:
            account = update_account(account=account, **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"{account.name} is saved.")
            return redirect("account-detail", account.pk)
    context = {"form": form, "account": account, "account_name": name}
    return render(request, "accounts/form.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def account_delete(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    if request.method == "GET":
        return render(request, "accounts/delete.html", {"account": account})
    try:
        delete_account(account=account)
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect("account-detail", account.pk)
    messages.success(request, f"{account.name} is deleted.")
    return redirect("account-list")


@login_required
@require_POST
def account_connect(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    try:
        connect_account(account=account, now=timezone.now())
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.info(request, f"{account.name} is being connected.")
    return _after_switch(request, account_id)


@login_required
@require_POST
def account_disconnect(request: HttpRequest, account_id: UUID) -> HttpResponse:
    account = own_account(request, account_id)
    disconnect_account(account=account, now=timezone.now())
    messages.info(request, f"{account.name} is being disconnected; its rules are not watched.")
    return _after_switch(request, account_id)


def _after_switch(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """Return the switch as it is now, or the page that it was on when there is no script."""
    if not getattr(request, "htmx", False):
        return redirect("account-detail", account_id)
    context = {"account": own_account(request, account_id), "is_fragment": True}
    return render(request, "accounts/switch.html", context)

from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.credentials import keys_of, proofs_of, trail_entries, trail_of, with_status
from accounts.forms.keys import KeyForm, KeyQueryForm, NewKeyForm, RotationForm, TrailQueryForm
from accounts.models import ApiKey, ApiKeyAuditLog
from accounts.origin import Origin
from accounts.refusals import Refusal
from accounts.services.key_trail import Action, Operation, note_garbled, note_stranger
from accounts.services.key_verification import request_verification
from accounts.services.keys import create_key, revoke_key, rotate_secret, update_key
from accounts.views.lookups import signed_in

KEYS_ON_A_PAGE = 50
ROWS_ON_A_PAGE = 30
LATEST = 6


@login_required
@require_safe
def key_list(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    form = KeyQueryForm(request.GET)
    keys = keys_of(signed_in(request)).order_by("name", "pk")
    query = form.cleaned_data if form.is_valid() else {}
    if query.get("q"):
        keys = keys.filter(name__icontains=query["q"])
    if query.get("status"):
        keys = with_status(keys, query["status"], now)
    page = Paginator(keys, KEYS_ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [_row(key, now) for key in page],
        "form": form,
        "is_filtered": any(query.values()),
        "query": _query_of(request),
    }
    return render(request, "keys/list.html", context)


@sensitive_post_parameters("secret")
@sensitive_variables("form")
@login_required
@require_http_methods(["GET", "POST"])
def key_create(request: HttpRequest) -> HttpResponse:
    form = NewKeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            key = create_key(
                user=signed_in(request),
                origin=Origin.of_request(request),
                now=timezone.now(),
                **form.cleaned_data,
            )
        except ValidationError as error:
            form.take_error(error)
        else:
            messages.success(request, f"“{key.name}” is in the vault.")
            return redirect("key-detail", key.pk)
    return render(request, "keys/form.html", {"form": form})


@login_required
@require_safe
def key_detail(request: HttpRequest, key_id: UUID) -> HttpResponse:
    user, key = signed_in(request), own_key(request, key_id)
    latest = trail_entries(trail_of(key)[:LATEST], user)
    context = {**_row(key, timezone.now()), **_verification(key), "entries": latest}
    return render(request, "keys/detail.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def key_update(request: HttpRequest, key_id: UUID) -> HttpResponse:
    key = own_key(request, key_id, Action.UPDATED)
    name = key.name
    form = KeyForm(request.POST or None, instance=key)
    if request.method == "POST" and _is_understood(request, form, key, Action.UPDATED):
        origin = Origin.of_request(request)
        try:
            key = update_key(key=key, origin=origin, now=timezone.now(), **form.changes())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"“{key.name}” is saved.")
            return redirect("key-detail", key.pk)
    return render(request, "keys/form.html", {"form": form, "key": key, "key_name": name})


@sensitive_post_parameters("secret")
@sensitive_variables("form", "secret")
@login_required
@require_http_methods(["GET", "POST"])
def key_rotate(request: HttpRequest, key_id: UUID) -> HttpResponse:
    key = own_key(request, key_id, Action.ROTATED)
    form = RotationForm(request.POST or None)
    if request.method == "POST" and _is_understood(request, form, key, Action.ROTATED):
        secret, origin = form.cleaned_data["secret"], Origin.of_request(request)
        try:
            rotate_secret(key=key, secret=secret, origin=origin, now=timezone.now())
        except (ValidationError, Refusal) as error:
            form.take_error(error)
        else:
            messages.success(request, f"“{key.name}” has its new password. Verify it next.")
            return redirect("key-detail", key.pk)
    wanted = [account for account in key.accounts.all() if account.connection.is_wanted]
    return render(request, "keys/rotate.html", {"form": form, "key": key, "wanted": wanted})


@login_required
@require_http_methods(["GET", "POST"])
def key_revoke(request: HttpRequest, key_id: UUID) -> HttpResponse:
    key = own_key(request, key_id, Action.REVOKED)
    if request.method == "GET":
        return render(request, "keys/revoke.html", _row(key, timezone.now()))
    try:
        revoke_key(key=key, origin=Origin.of_request(request), now=timezone.now())
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.success(request, f"“{key.name}” is revoked, and its password destroyed.")
    return redirect("key-detail", key.pk)


@login_required
@require_POST
def key_verify(request: HttpRequest, key_id: UUID) -> HttpResponse:
    key = own_key(request, key_id, Action.VERIFIED)
    refusal = ""
    try:
        request_verification(key=key, origin=Origin.of_request(request), now=timezone.now())
    except Refusal as error:
        refusal = error.sentence
    if getattr(request, "htmx", False):
        return _verification_part(request, own_key(request, key_id), refusal)
    if refusal:
        messages.error(request, refusal)
    return redirect("key-detail", key.pk)


@login_required
@require_safe
def key_verification(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Show how the latest verification stands; the part asks again while it is under way."""
    return _verification_part(request, own_key(request, key_id))


@login_required
@require_safe
def key_audit(request: HttpRequest, key_id: UUID) -> HttpResponse:
    user, key = signed_in(request), own_key(request, key_id)
    form = TrailQueryForm(request.GET)
    rows = _filtered(trail_of(key), form.cleaned_data if form.is_valid() else {})
    page = Paginator(rows, ROWS_ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "key": key,
        "form": form,
        "page": page,
        "entries": trail_entries(page, user),
        "is_filtered": bool(_query_of(request)),
        "query": _query_of(request),
    }
    return render(request, "keys/audit.html", context)


def own_key(request: HttpRequest, key_id: UUID, wanted: str = Action.VIEWED) -> ApiKey:
    """Return the user's key; a stranger's is as good as none, and its owner reads of it."""
    key = keys_of(signed_in(request)).filter(pk=key_id).first()
    if key is None:
        origin = Origin.of_request(request)
        note_stranger(key_id=key_id, action=wanted, origin=origin, now=timezone.now())
        raise Http404
    return key


def _is_understood(request: HttpRequest, form: BaseForm, key: ApiKey, wanted: str) -> bool:
    """Tell whether a form may go to its service; one that may not leaves a row as well."""
    if form.is_valid():
        return True
    # A form has written into its key what it did understand.
    stored = ApiKey.objects.defer("secret").get(pk=key.pk)
    origin = Origin.of_request(request)
    note_garbled(Operation(stored, wanted, timezone.now(), origin), form.errors)
    return False


def _row(key: ApiKey, now: datetime) -> dict[str, Any]:
    status = ApiKey.Status(key.status_at(now))
    accounts = list(key.accounts.all())
    return {
        "key": key,
        "status": status.value,
        "status_label": status.label,
        "is_usable": key.is_usable(now),
        "accounts": accounts,
        "first_account": accounts[0] if accounts else None,
        "others": len(accounts) - 1,
        "is_expiring": key.expires_at is not None and key.expires_at - now < timedelta(days=7),
    }


def _verification(key: ApiKey) -> dict[str, Any]:
    is_pending = key.verification == ApiKey.Verification.PENDING
    proofs = proofs_of(key) if key.verification != ApiKey.Verification.NEVER else {}
    accounts = [(account, proofs.get(account.pk)) for account in key.accounts.all()]
    return {"is_pending": is_pending, "logins": accounts if proofs or is_pending else []}


def _verification_part(request: HttpRequest, key: ApiKey, refusal: str = "") -> HttpResponse:
    context = {**_row(key, timezone.now()), **_verification(key), "refusal": refusal}
    answer = render(request, "keys/verification.html", context)
    if not context["is_pending"]:
        answer["HX-Trigger"] = "key-verified"  # the trail on the same page has news
    return answer


def _filtered(rows: QuerySet[ApiKeyAuditLog], query: dict[str, Any]) -> QuerySet[ApiKeyAuditLog]:
    for name in ("action", "outcome"):
        if query.get(name):
            rows = rows.filter(**{name: query[name]})
    if query.get("since"):
        rows = rows.filter(created_at__gte=_midnight(query["since"]))
    if query.get("until"):
        rows = rows.filter(created_at__lt=_midnight(query["until"] + timedelta(days=1)))
    return rows


def _midnight(date: Any) -> datetime:
    """Return the start of a date in the zone of the person who looks."""
    return timezone.make_aware(datetime.combine(date, time.min))


def _query_of(request: HttpRequest) -> str:
    """Return the filters of the address, without the page, to go on with."""
    query = request.GET.copy()
    query.pop("page", None)
    for name in [name for name, value in query.items() if not value]:
        del query[name]
    return query.urlencode()

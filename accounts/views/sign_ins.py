"""What a user has signed in, and with which factors."""

from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts.origin import Origin
from accounts.second_factor import recovery_codes_left
from accounts.services import program_sessions
from accounts.services.browser_sessions import end_browser_session
from accounts.services.users import end_others as end_other_sign_ins
from accounts.sign_ins import sign_ins_of
from accounts.views.lookups import signed_in


@login_required
@require_GET
def two_factor(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    app = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.TOTP).first()
    context = {"app": app, "codes_left": recovery_codes_left(user) if app else None}
    return render(request, "mfa/index.html", context)


@never_cache
@login_required
@require_GET
def sessions(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    rows = sign_ins_of(user=user, current_key=request.session.session_key, now=timezone.now())
    return render(request, "usersessions/usersession_list.html", {"rows": rows})


@login_required
@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    ended = end_other_sign_ins(
        user=signed_in(request),
        but_session=request.session.session_key,
        origin=Origin.of_request(request),
        now=timezone.now(),
    )
    others = "1 other sign-in is" if ended == 1 else f"{ended} other sign-ins are"
    messages.success(request, f"{others} ended." if ended else "Nothing else was signed in.")
    return redirect("sessions")


@login_required
@require_POST
def end_browser(request: HttpRequest, row_id: int) -> HttpResponse:
    is_ended = end_browser_session(
        user=signed_in(request),
        row_id=row_id,
        origin=Origin.of_request(request),
        now=timezone.now(),
    )
    return _told(request, is_ended=is_ended)


@login_required
@require_POST
def end_program(request: HttpRequest, row_id: UUID) -> HttpResponse:
    is_ended = program_sessions.end_session(
        user=signed_in(request),
        session_id=row_id,
        origin=Origin.of_request(request),
        now=timezone.now(),
    )
    return _told(request, is_ended=is_ended)


def _told(request: HttpRequest, *, is_ended: bool) -> HttpResponse:
    key = request.session.session_key
    if key and not request.session.exists(key):  # it was this one
        logout(request)
        return redirect("login")
    if is_ended:
        messages.success(request, "It is signed out.")
    else:
        messages.info(request, "That had ended already.")
    return redirect("sessions")

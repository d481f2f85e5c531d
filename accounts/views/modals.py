"""Pages that also open in the modal of another page: the same template in another frame."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django_htmx.http import HttpResponseClientRedirect, reswap, trigger_client_event

MODAL = "modal-body"


def is_modal(request: HttpRequest) -> bool:
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and htmx.target == MODAL


def is_htmx(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False))


def render_framed(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Render a template into the modal, or as a page of its own when that is what was asked."""
    frame = "modal.html" if is_modal(request) else "base.html"
    return render(request, template, {**context, "frame": frame, "is_modal": is_modal(request)})


def close_modal(request: HttpRequest, *, otherwise: str, leave: str = "") -> HttpResponse:
    """End what the modal was for: it closes, and the page below asks for its rows again.

    `otherwise` is where the page leads to that had no modal; a page whose address begins with
    `leave` is about something that is gone, and leads there as well.
    """
    htmx = getattr(request, "htmx", None)
    if not htmx:
        return redirect(otherwise)
    is_about_what_is_gone = leave and str(htmx.current_url_abs_path or "").startswith(leave)
    if is_about_what_is_gone or not is_modal(request):
        return HttpResponseClientRedirect(otherwise)
    answer = render(request, "toasts.html", {"messages": messages.get_messages(request)})
    # After the swap: before it, the form that tells of it would be gone.
    trigger_client_event(answer, "modal-done", after="settle")
    trigger_client_event(answer, "accounts-changed", after="settle")
    return reswap(answer, "none")

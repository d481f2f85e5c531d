"""The notification centre and what the bell unfolds."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from accounts.views.lookups import signed_in
from accounts.views.modals import is_htmx, render_framed
from notifications.forms.inbox import InboxForm
from notifications.models import Channel, Notification
from notifications.screen.deliveries import delivery_lines
from notifications.selectors import count_unread, list_notifications
from notifications.selectors.bell import bell_news
from notifications.services.inbox import (
    clear_read,
    delete_notification,
    mark_all_read,
    mark_read,
    mark_unread,
)

PAGE_SIZE = 30
# Where a row stands: the ids of its element begin with it.
BELL, CENTRE = "bell", "note"


@login_required
@require_safe
def notification_list(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = InboxForm(request.GET)
    found = list_notifications(user=user, **form.filters())
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    unread_count = count_unread(user=user)
    context = {
        "page": page,
        "form": form,
        "query": form.query(),
        "is_filtered": bool(form.filters()),
        "unread_count": unread_count,
        "switched_off": Channel.objects.owned_by(user).exclude(switched_off_at=None),
    }
    answer = render(request, "notifications/list.html", context)
    return _with_count(answer, unread_count) if is_htmx(request) else answer


@login_required
@require_safe
def notification_latest(request: HttpRequest) -> HttpResponse:
    """Show what the bell unfolds."""
    return _render_latest(request)


@login_required
@require_safe
def notification_open(request: HttpRequest, notification_id: UUID) -> HttpResponse:
    """Go to what a notification is about, which is as good as having read it."""
    notification = own_notification(request, notification_id)
    mark_read(notification=notification, now=timezone.now())
    is_ours = url_has_allowed_host_and_scheme(notification.link, allowed_hosts=None)
    return redirect(notification.link if is_ours else "notification-list")


@login_required
@require_POST
def notification_read(request: HttpRequest, notification_id: UUID) -> HttpResponse:
    """Mark one as read, or, with `unread=1`, as unread again."""
    notification = own_notification(request, notification_id)
    if request.POST.get("unread"):
        mark_unread(notification=notification)
    else:
        mark_read(notification=notification, now=timezone.now())
    return _after_change(request, notification)


@login_required
@require_POST
def notification_read_all(request: HttpRequest) -> HttpResponse:
    mark_all_read(user=signed_in(request), now=timezone.now())
    if is_htmx(request):
        return trigger_client_event(_render_latest(request), "inbox-changed")
    messages.success(request, "All notifications are marked as read.")
    return redirect("notification-list")


@login_required
@require_POST
def notification_delete(request: HttpRequest, notification_id: UUID) -> HttpResponse:
    delete_notification(notification=own_notification(request, notification_id))
    return _after_change(request, None)


@login_required
@require_http_methods(["GET", "POST"])
def notification_clear_read(request: HttpRequest) -> HttpResponse:
    """Delete everything that was read, after asking once."""
    user = signed_in(request)
    if request.method == "GET":
        read = list_notifications(user=user, unread=False)
        return render_framed(request, "notifications/clear.html", {"read_count": read.count()})
    cleared = clear_read(user=user)
    plural = "" if cleared == 1 else "s"
    messages.success(request, f"{cleared} read notification{plural} deleted.")
    if is_htmx(request):
        return HttpResponseClientRedirect(redirect("notification-list").url)
    return redirect("notification-list")


@login_required
@require_safe
def notification_deliveries(request: HttpRequest, notification_id: UUID) -> HttpResponse:
    """Show by which channels one notification went out, and how that ended."""
    notification = own_notification(request, notification_id)
    context = {
        "notification": notification,
        "lines": delivery_lines(notification, now=timezone.now()),
    }
    if is_htmx(request):
        return render(request, "notifications/deliveries.html", context)
    return render(request, "notifications/deliveries_page.html", context)


def own_notification(request: HttpRequest, notification_id: UUID) -> Notification:
    """Return the user's notification; a stranger's is as good as none."""
    own = Notification.objects.owned_by(signed_in(request)).shown()
    return get_object_or_404(own, pk=notification_id)


def _render_latest(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    unread_count = count_unread(user=user)
    context = {
        "news": bell_news(user),
        "unread_count": unread_count,
    }
    return _with_count(render(request, "notifications/latest.html", context), unread_count)


def _after_change(request: HttpRequest, notification: Notification | None) -> HttpResponse:
    """Show a changed row again where it was changed; without htmx, the whole centre."""
    if not is_htmx(request):
        return redirect("notification-list")
    is_in_bell = request.headers.get("HX-Target", "").startswith(BELL)
    context = {"notification": notification, "place": BELL if is_in_bell else CENTRE}
    answer = render(request, "notifications/changed.html", context)
    if is_in_bell:
        trigger_client_event(answer, "inbox-changed")
    return _with_count(answer, count_unread(user=signed_in(request)))


def _with_count(answer: HttpResponse, unread_count: int) -> HttpResponse:
    """Tell the page how many are unread now: the bell shows it."""
    return trigger_client_event(answer, "unread-counted", {"unread": unread_count})

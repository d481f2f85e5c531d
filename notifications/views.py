from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from accounts.views.lookups import signed_in
from notifications.models import Notification
from notifications.selectors import count_unread, latest_notifications, list_notifications
from notifications.services.inbox import mark_all_read, mark_read

PAGE_SIZE = 50
LATEST_COUNT = 8


@login_required
@require_safe
def notification_list(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    page = Paginator(list_notifications(user=user), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "unread_count": count_unread(user=user)}
    return render(request, "notifications/list.html", context)


@login_required
@require_safe
def notification_latest(request: HttpRequest) -> HttpResponse:
    """Show what the bell unfolds."""
    user = signed_in(request)
    context = {
        "notifications": latest_notifications(user=user, limit=LATEST_COUNT),
        "unread_count": count_unread(user=user),
    }
    return render(request, "notifications/latest.html", context)


@login_required
@require_safe
def notification_open(request: HttpRequest, notification_id: UUID) -> HttpResponse:
    """Go to what a notification is about, which is as good as having read it."""
    own = Notification.objects.owned_by(signed_in(request))
    notification = get_object_or_404(own, pk=notification_id)
    mark_read(notification=notification, now=timezone.now())
    is_ours = url_has_allowed_host_and_scheme(notification.link, allowed_hosts=None)
    return redirect(notification.link if is_ours else "notification-list")


@login_required
@require_POST
def notification_read_all(request: HttpRequest) -> HttpResponse:
    mark_all_read(user=signed_in(request), now=timezone.now())
    messages.success(request, "All notifications are marked as read.")
    return redirect("notification-list")

import hashlib
import logging
import zoneinfo
from collections.abc import Callable

from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.defaults import page_not_found

logger = logging.getLogger(__name__)


class SessionActivityMiddleware:
    """Note now and then that a browser's session is in use, for the list of sessions."""

    EVERY_SECONDS = 300

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.session.session_key
        if key and request.user.is_authenticated:
            # What is kept in Redis opens no session.
            mark = hashlib.sha256(key.encode()).hexdigest()
            if cache.add(f"session-seen:{mark}", 1, self.EVERY_SECONDS):
                UserSession.objects.create_from_request(request)
        return self.get_response(request)


class TimeZoneMiddleware:
    """Show times in the zone of the signed-in user, and in UTC to everybody else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = request.user.time_zone if request.user.is_authenticated else "UTC"
        try:
            zone = zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            # The zone database of the machine may lose a name that was valid once.
            zone = zoneinfo.ZoneInfo("UTC")
        with timezone.override(zone):
            return self.get_response(request)


class GoneMiddleware:
    """Show the page of what is not there for a row deleted between look-up and change."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, ObjectDoesNotExist):
            return None
        logger.warning("%s %s: %s", request.method, request.path, exception)
        return page_not_found(request, Http404())

"""What a browser and its service worker ask for, to be told things while no page is open."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.contrib.staticfiles import finders
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.origin import Origin
from accounts.refusals import Refusal
from accounts.views.lookups import signed_in
from notifications.services.push_keys import public_push_key
from notifications.services.push_subscriptions import (
    browser_channel,
    subscribe_browser,
    unsubscribe_browser,
)

# The first that occurs names the browser: most call themselves by the others' names, too.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Serve the script that shows notifications; from the root, since it serves the whole site."""
    return HttpResponse(_service_worker(), content_type="text/javascript; charset=utf-8")


@login_required
@require_http_methods(["GET", "POST"])
@sensitive_variables()
def push_subscription(request: HttpRequest) -> HttpResponse:
    """Give the script the token for what it posts (GET); make or renew its channel (POST)."""
    if request.method == "GET":
        return JsonResponse({"csrf_token": get_token(request)})
    try:
        asked = _asked(request)
        channel = subscribe_browser(
            user=signed_in(request),
            subscription={name: _text(asked, name) for name in ("endpoint", "p256dh", "auth")},
            previous=_text(asked, "previous"),
            browser=browser_name(request.headers.get("User-Agent", "")),
            now=timezone.now(),
            origin=Origin.of_request(request),
        )
    except ValidationError as error:
        return JsonResponse({"error": " ".join(error.messages)}, status=400)
    except Refusal as refusal:
        return JsonResponse({"error": refusal.sentence}, status=409)
    return JsonResponse({"channel": str(channel.pk), "name": channel.name})


@login_required
@require_POST
@sensitive_variables()
def push_state(request: HttpRequest) -> HttpResponse:
    """Say what a subscription is bound to, and by which channel this browser is reached, if any."""
    try:
        endpoint = _text(_asked(request), "endpoint")
    except ValidationError as error:
        return JsonResponse({"error": " ".join(error.messages)}, status=400)
    channel = browser_channel(user=signed_in(request), endpoint=endpoint)
    return JsonResponse(
        {
            "public_key": public_push_key(),
            "channel": None if channel is None else str(channel.pk),
            "name": "" if channel is None else channel.name,
            "is_working": channel is not None and channel.switched_off_at is None,
        }
    )


@login_required
@require_POST
@sensitive_variables()
def push_off(request: HttpRequest) -> HttpResponse:
    """Delete this browser's channel."""
    try:
        endpoint = _text(_asked(request), "endpoint")
    except ValidationError as error:
        return JsonResponse({"error": " ".join(error.messages)}, status=400)
    unsubscribe_browser(
        user=signed_in(request),
        endpoint=endpoint,
        now=timezone.now(),
        origin=Origin.of_request(request),
    )
    return HttpResponse(status=204)


def browser_name(agent: str) -> str:
    """Name a browser as its owner would, such as "Firefox on Windows", by its User-Agent."""
    browser = next((name for sign, name in _BROWSERS if sign in agent), "Browser")
    system = next((name for sign, name in _SYSTEMS if re.search(rf"\b{sign}\b", agent)), "")
    return f"{browser} on {system}" if system else browser


@sensitive_variables()
def _asked(request: HttpRequest) -> dict[str, Any]:
    try:
        asked = json.loads(request.body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise ValidationError("Send an object as JSON.")
    return asked


@sensitive_variables()
def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise ValidationError("Send text.")
    return value


@cache
def _service_worker() -> bytes:
    found = finders.find("js/service-worker.js")
    if not isinstance(found, str):
        raise Http404
    return Path(found).read_bytes()

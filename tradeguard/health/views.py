import hmac
import os
from ipaddress import ip_address

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tradeguard.health.metrics import collect_metrics
from tradeguard.health.probes import probe_all


@require_safe
@never_cache
def live(_request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "live"})


@require_safe
@never_cache
def ready(_request: HttpRequest) -> HttpResponse:
    """Answer 200 when every part works, else 503 with the parts that do not."""
    findings = probe_all(now=timezone.now())
    failed = [finding.part for finding in findings if not finding.is_working]
    return JsonResponse(
        {
            "status": "failing" if failed else "ready",
            "failed": failed,
            "parts": {finding.part: finding.message for finding in findings},
        },
        status=503 if failed else 200,
    )


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Give Prometheus its numbers; a stranger learns that there is nothing here."""
    if not may_read_metrics(request):
        return JsonResponse({"error": {"code": "not_found", "message": "Not found."}}, status=404)
    text, content_type = collect_metrics(now=timezone.now())
    return HttpResponse(text, content_type=content_type)


def may_read_metrics(request: HttpRequest) -> bool:
    """Tell whether the caller is this machine itself or knows METRICS_TOKEN.

    A reverse proxy on this machine also calls from 127.0.0.1, so a forwarded request is not local.
    """
    token = os.environ.get("METRICS_TOKEN", "")
    header = request.headers.get("Authorization", "")
    if token and hmac.compare_digest(header.encode(), f"Bearer {token}".encode()):
        return True
    is_forwarded = any(
        name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto")
    )
    try:
        return not is_forwarded and ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False

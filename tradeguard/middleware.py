from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

# Nothing of this site needs a device or another site's part; see the Permissions-Policy standard.
_FEATURES = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen",
    "geolocation", "gyroscope", "magnetometer", "microphone", "midi", "payment",
    "publickey-credentials-get", "screen-wake-lock", "usb", "xr-spatial-tracking",
)  # fmt: skip
PERMISSIONS = ", ".join(f"{name}=()" for name in _FEATURES)


class AnswerHeadersMiddleware:
    """Tell browsers and caches what every answer allows them: as little as possible.

    Pages and the API show what belongs to one user: no cache may keep that, neither a proxy's nor
    the browser's after signing out. Static files come with a Cache-Control of their own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store, private")
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

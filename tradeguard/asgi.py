import os
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradeguard.settings")
django_application = get_asgi_application()

from accounts.sockets import SocketAuthentication  # noqa: E402  # models need the app registry
from tradeguard.routing import websocket_urlpatterns  # noqa: E402

router: Any = URLRouter(websocket_urlpatterns)
application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": SocketAuthentication(router),
    }
)

"""What the web server does with each protocol."""

from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

from accounts.sockets import SocketAuthentication
from tradeguard.routing import websocket_urlpatterns

router: Any = URLRouter(websocket_urlpatterns)
application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": SocketAuthentication(router),
    }
)

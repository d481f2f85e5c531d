from django.urls import path

from notifications.consumers import NotificationConsumer
from risk.consumers import AccountConsumer, GroupConsumer

websocket_urlpatterns = [
    path("ws/group/<uuid:group_id>", GroupConsumer.as_asgi()),
    path("ws/account/<uuid:account_id>", AccountConsumer.as_asgi()),
    path("ws/notifications", NotificationConsumer.as_asgi()),
]

from django.urls import path
from notifications.consumers import NotificationConsumer
from risk.consumers import AccountConsumer, GroupConsumer, GroupListConsumer

websocket_urlpatterns = [
    path("ws/groups", GroupListConsumer.as_asgi()),
    path("ws/group/<uuid:group_id>", GroupConsumer.as_asgi()),
    path("ws/account/<uuid:account_id>", AccountConsumer.as_asgi()),
    path("ws/notifications", NotificationConsumer.as_asgi()),
]

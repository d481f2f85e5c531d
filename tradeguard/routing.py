from typing import Any

from django.urls import path, re_path

from accounts.consumers import NothingHereConsumer
from accounts.dashboard.consumers import DashboardConsumer
from copytrade.consumers import CopyLedgerConsumer
from notifications.consumers import NotificationConsumer
from risk.consumers import AccountConsumer, GroupConsumer, GroupListConsumer

# Django's `path` is typed for views; Channels routes with it, too.
_group: Any = GroupConsumer.as_asgi()
_groups: Any = GroupListConsumer.as_asgi()
_account: Any = AccountConsumer.as_asgi()
_copies: Any = CopyLedgerConsumer.as_asgi()
_dashboard: Any = DashboardConsumer.as_asgi()
_notifications: Any = NotificationConsumer.as_asgi()
_nothing: Any = NothingHereConsumer.as_asgi()

websocket_urlpatterns: list[Any] = [
    path("ws/group/<uuid:group_id>", _group),
    path("ws/groups", _groups),
    path("ws/account/<uuid:account_id>", _account),
    path("ws/copy/<uuid:account_id>", _copies),
    path("ws/dashboard", _dashboard),
    path("ws/notifications", _notifications),
    re_path("", _nothing),
]

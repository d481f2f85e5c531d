"""Connection changes on their way to the people whose accounts they are about."""

from collections.abc import Sequence

import orjson
from django.db import transaction

from accounts.publishing import Message, publish_dashboards, publish_many
from accounts.sessions.states import ConnectionChange
from notifications.services import notify_connection_changes


def tell_connection_changes(changes: Sequence[ConnectionChange]) -> None:
    """Write the notifications of these changes and, once they are committed, show the changes."""
    notify_connection_changes(changes)
    messages = [_message(change) for change in changes]
    users = {change.user_id for change in changes}
    transaction.on_commit(lambda: publish_many(messages), robust=True)
    transaction.on_commit(lambda: publish_dashboards(users), robust=True)


def _message(change: ConnectionChange) -> Message:
    content = {
        "account_id": str(change.account_id),
        "name": change.account_name,
        "state": change.to_state,
        "reason": change.reason,
        "message": change.message,
    }
    payload = orjson.dumps(content).decode()
    return f"user.{change.user_id}", {"type": "user.account_connection", "payload": payload}

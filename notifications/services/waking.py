"""Having senders look at what is due; a wake that is lost is the sweep's."""

from django.db import transaction

from accounts.task_messages import TaskMessage, enqueue


def wake_after_commit(transport: str, *, after_seconds: float = 0.0) -> None:
    """Have what is due by a transport sent once this transaction is over, or so much later."""
    # No `partial`: of one that fails Django cannot tell the name, and fails itself.
    transaction.on_commit(lambda: wake_sender(transport, after_seconds=after_seconds), robust=True)


def wake_sender(transport: str, *, after_seconds: float = 0.0) -> None:
    """Have what is due by a transport sent soon, or once so many seconds are over."""
    countdown = after_seconds or None
    enqueue(TaskMessage("notifications.deliver_by", [transport], "deliveries", countdown=countdown))

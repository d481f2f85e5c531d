"""What a user does with what they were told."""

from datetime import datetime

from notifications.models import Notification
from notifications.services.discarding import discard


def mark_read(*, notification: Notification, now: datetime) -> Notification:
    """Mark one notification as read; the first reading counts."""
    changed = Notification.objects.filter(pk=notification.pk, read_at=None).update(read_at=now)
    if changed:
        notification.read_at = now
    else:
        notification.refresh_from_db(fields=["read_at"])
    return notification


def mark_unread(*, notification: Notification) -> Notification:
    """Make one notification count as unread again."""
    notification.read_at = None
    notification.save(update_fields=["read_at"])
    return notification


def mark_all_read(*, user: object, now: datetime) -> int:
    """Mark everything up to now as read and return how many were unread.

    What arrives, or happens again, while the user clicks was not seen and stays unread.
    """
    unread = Notification.objects.owned_by(user).unread()
    seen = unread.filter(created_at__lte=now).exclude(last_happened_at__gt=now)
    return seen.update(read_at=now)


def delete_notification(*, notification: Notification) -> None:
    """Delete a notification; what is still on its way by any channel is not sent any more."""
    discard(Notification.objects.filter(pk=notification.pk))


def clear_all(*, user: object) -> int:
    """Delete all notifications of a user, read or not, and return how many were shown.

    Those that were counted with others or are of a type that is switched off go with them. What
    came this very moment stays: it has not gone out by any channel yet.
    """
    own = Notification.objects.owned_by(user).exclude(routed_at=None)
    deleted = discard(own.shown())
    discard(own.filter(is_hidden=True))
    return deleted


def clear_read(*, user: object) -> int:
    """Delete the notifications that the user has read and return how many there were."""
    return discard(Notification.objects.owned_by(user).shown().exclude(read_at=None))

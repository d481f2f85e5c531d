import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q


class NotificationType(models.TextChoices):
    RISK_WARNING = "risk_warning", "Rule close to its limit"
    RISK_BREACH = "risk_breach", "Rule violated"
    ENFORCEMENT = "enforcement", "TradeGuard stepped in"
    MARGIN_WARNING = "margin_warning", "Margin is running out"
    LIQUIDATION = "liquidation", "Liquidated"
    OBJECTIVE = "objective", "Objective"
    ORDER_FILLED = "order_filled", "Order filled"
    ORDER_REJECTED = "order_rejected", "Order not executed"
    POSITION_UPDATE = "position_update", "Position opened or closed"
    COPY_RELATIONSHIP = "copy_relationship", "Copying offered, paused or ended"
    COPY_SKIPPED = "copy_skipped", "Copy skipped"
    COPY_ERROR = "copy_error", "Copy failed"
    CASCADE = "cascade", "Followers closed with their provider"
    STRATEGY_ERROR = "strategy_error", "Trading is switched off"
    CONNECTION_LOST = "connection_lost", "Connection lost"
    CONNECTION_RESTORED = "connection_restored", "Connection restored"
    IDENTITY_MISMATCH = "identity_mismatch", "Another account answered"
    SECURITY = "security", "Security"
    SYSTEM_ALERT = "system_alert", "TradeGuard itself"
    DAILY_SUMMARY = "daily_summary", "Daily summary"


class Priority(models.TextChoices):
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"
    URGENT = "urgent", "Urgent"

    @property
    def rank(self) -> int:
        """Where it stands among the others; the more urgent, the higher."""
        return list(Priority).index(self)


class NotificationQuerySet(models.QuerySet["Notification"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user=user)

    def shown(self) -> Self:
        return self.filter(is_hidden=False)

    def unread(self) -> Self:
        return self.filter(read_at=None, is_hidden=False)

    def unrouted(self) -> Self:
        return self.filter(routed_at=None)


class Notification(models.Model):
    """One thing that a user should know, told once.

    `dedupe_key` names the change that it is about; the same change told twice stays one row.
    `repeat_key` names what is the same thing for a reader: when it happens again within minutes,
    the first row counts it, and the row of the repetition is hidden.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications"
    )
    type = models.CharField(max_length=32, choices=NotificationType)
    priority = models.CharField(max_length=8, choices=Priority, default=Priority.MEDIUM)
    title = models.CharField(max_length=160)
    body = models.TextField(blank=True)
    link = models.CharField(max_length=255, blank=True, help_text="A path on this site.")
    object_type = models.CharField(max_length=32, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    dedupe_key = models.CharField(max_length=160)
    repeat_key = models.CharField(max_length=64, default="", editable=False)
    happened_count = models.PositiveIntegerField(
        default=1, help_text="How often it happened within minutes of the first time."
    )
    last_happened_at = models.DateTimeField(null=True, blank=True)
    told_by = models.CharField(
        max_length=64, blank=True, help_text="A transport by which the user hears of it anyway."
    )
    is_hidden = models.BooleanField(
        default=False, help_text="Counted with an earlier one, or of a type that is switched off."
    )
    routed_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was decided by which channels it goes out."
    )
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            # With what is hidden in it, all that is shown is counted without looking at any row.
            models.Index(fields=["user", "-created_at", "is_hidden"], name="notifications_newest"),
            models.Index(
                fields=["user", "created_at"],
                condition=Q(read_at=None, is_hidden=False),
                name="notifications_unread",
            ),
            models.Index(
                fields=["object_type", "object_id", "type"], name="notifications_about_object"
            ),
            models.Index(
                fields=["created_at"], condition=Q(routed_at=None), name="notifications_unrouted"
            ),
            models.Index(
                fields=["user", "repeat_key", "-created_at"], name="notifications_repeated"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "dedupe_key"], name="notifications_notification_told_once"
            )
        ]

    def __str__(self) -> str:
        return self.title

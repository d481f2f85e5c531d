import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q


class NotificationType(models.TextChoices):
    RISK_BREACH = "risk_breach", "Rule violated"
    CONNECTION_LOST = "connection_lost", "Connection lost"
    CONNECTION_RESTORED = "connection_restored", "Connection restored"
    ENFORCEMENT = "enforcement", "TradeGuard stepped in"
    MARGIN_WARNING = "margin_warning", "Margin is running out"
    LIQUIDATION = "liquidation", "Liquidated"
    OBJECTIVE = "objective", "Objective"


class Priority(models.TextChoices):
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"
    URGENT = "urgent", "Urgent"


class NotificationQuerySet(models.QuerySet["Notification"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user=user)

    def unread(self) -> Self:
        return self.filter(read_at=None)


class Notification(models.Model):
    """One thing that a user should know, told once.

    `dedupe_key` names the change that it is about; the same change told twice stays one row.
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
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="notifications_newest"),
            models.Index(
                fields=["user", "created_at"],
                condition=Q(read_at=None),
                name="notifications_unread",
            ),
            models.Index(
                fields=["object_type", "object_id", "type"], name="notifications_about_object"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "dedupe_key"], name="notifications_notification_told_once"
            )
        ]

    def __str__(self) -> str:
        return self.title


class Delivery(models.Model):
    """One attempt to bring a notification to a person through one channel, until it ends."""

    class Channel(models.TextChoices):
        EMAIL = "email", "E-mail"

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    notification = models.ForeignKey(
        Notification, on_delete=models.CASCADE, related_name="deliveries"
    )
    channel = models.CharField(max_length=16, choices=Channel)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=255, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state="pending"),
                name="notifications_delivery_due",
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["notification", "channel"], name="notifications_delivery_once_per_channel"
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.state}"

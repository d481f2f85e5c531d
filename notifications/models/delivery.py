from django.db import models
from django.db.models import Q

from notifications.models.channel import Channel
from notifications.models.notification import Notification
from notifications.transports import transport_choices


class Delivery(models.Model):
    """A notification on its way to a person by one of their channels, until it ends.

    Several that wait for the same reason go out as one letter: they share its `letter_id`, which is
    the same at every attempt.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    class Hold(models.TextChoices):
        """Why it waits, and for what it is gathered."""

        NONE = "", "Not held"
        QUIET = "quiet", "Until the quiet hours end"
        STORM = "storm", "Gathered, since many came at once"

    notification = models.ForeignKey(
        Notification, on_delete=models.CASCADE, related_name="deliveries"
    )
    channel = models.ForeignKey(
        Channel,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="deliveries",
        db_index=False,  # the index on channel and created_at serves
    )
    transport = models.CharField(max_length=16, choices=transport_choices)
    channel_name = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    hold = models.CharField(max_length=8, choices=Hold, default=Hold.NONE, blank=True)
    letter_id = models.UUIDField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state="pending"),
                name="notifications_delivery_due",
            ),
            models.Index(
                fields=["updated_at"],
                condition=Q(state="failed"),
                name="notifications_delivery_failed",
            ),
            models.Index(fields=["channel", "created_at"], name="notifications_delivery_newest"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["notification", "channel"], name="notifications_delivery_once_per_channel"
            )
        ]

    def __str__(self) -> str:
        return f"{self.transport}: {self.state}"

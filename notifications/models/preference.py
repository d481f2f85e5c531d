import datetime
import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from notifications.models.notification import NotificationType, Priority


class Preference(models.Model):
    """How a user wants to hear of one type of notification; without a row the defaults hold.

    `transports` are names; all of the user's working channels of these transports are used.
    """

    class Mode(models.TextChoices):
        ON = "on", "On"
        SILENT = "silent", "Silent"
        OFF = "off", "Off"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_preferences"
    )
    type = models.CharField(max_length=32, choices=NotificationType)
    mode = models.CharField(
        max_length=8,
        choices=Mode,
        default=Mode.ON,
        help_text="Silent: only in the notification centre. Off: nowhere.",
    )
    minimum_priority = models.CharField(
        max_length=8,
        choices=Priority,
        default=Priority.LOW,
        help_text="What is less important stays in the notification centre.",
    )
    transports = models.JSONField(default=list, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["user", "type"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "type"], name="notifications_preference_once_per_type"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_type_display()}: {self.mode}"


class DeliverySettings(models.Model):
    """When and how much a user wants to hear, whatever it is about; times are in their own zone.

    Without a row the defaults of these fields hold.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="delivery_settings"
    )
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    summary_at = models.TimeField(
        default=datetime.time(22), help_text="When the daily summary is made."
    )
    summarised_on = models.DateField(null=True, blank=True, editable=False)
    repeat_minutes = models.PositiveSmallIntegerField(
        default=5,
        validators=[MaxValueValidator(120)],
        help_text="The same thing within so many minutes is counted, not told again; 0: told.",
    )
    storm_limit = models.PositiveSmallIntegerField(
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="More than this many a minute by one channel become one message.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "delivery settings"
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_until=None)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="notifications_settings_quiet_has_two_ends",
            )
        ]

    def __str__(self) -> str:
        return str(self.user)

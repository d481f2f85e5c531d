import uuid

from django.conf import settings
from django.db import models

from risk.core.rule_types import Importance as CoreImportance


class NewsEvent(models.Model):
    """One event of a news calendar that a user imported."""

    class Importance(models.TextChoices):
        LOW = CoreImportance.LOW.value, "Low"
        MEDIUM = CoreImportance.MEDIUM.value, "Medium"
        HIGH = CoreImportance.HIGH.value, "High"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="news_events"
    )
    at = models.DateTimeField()
    currency = models.CharField(max_length=3)
    importance = models.CharField(max_length=8, choices=Importance)
    title = models.CharField(max_length=160)

    class Meta:
        ordering = ["at", "currency", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "at", "currency", "title"], name="risk_newsevent_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.currency} {self.title}"


class NewsCalendar(models.Model):
    """How far a user's imported events reach; beyond it nothing is known."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        primary_key=True,
        on_delete=models.CASCADE,
        related_name="news_calendar",
    )
    covers_from_at = models.DateTimeField()
    covers_until_at = models.DateTimeField()
    imported_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"until {self.covers_until_at:%Y-%m-%d}"

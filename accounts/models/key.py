import uuid

from django.conf import settings
from django.db import models

from accounts.models.text import validate_one_line
from accounts.vault.fields import EncryptedTextField


class ApiKey(models.Model):
    """A broker login's password, named and owned; the value goes in and never comes out."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        INACTIVE = "inactive"
        EXPIRED = "expired"
        REVOKED = "revoked"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    name = models.CharField(max_length=100, validators=[validate_one_line])
    secret = EncryptedTextField()
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name", "id"]
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=["active", "inactive", "expired", "revoked"]),
                name="accounts_apikey_known_status",
            )
        ]

    def __str__(self) -> str:
        return self.name

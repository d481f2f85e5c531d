import uuid

from django.conf import settings
from django.db import models


class ProgramSession(models.Model):
    """A program that has signed in for tokens; its refresh token changes with every use.

    Only a hash of the newest refresh token is kept. An older one that is shown again was stolen, by
    whoever shows it or by whoever used it first, and ends the session.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="program_sessions"
    )
    refresh_hash = models.CharField(max_length=64)
    ip_address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.CharField(max_length=32, blank=True)

    class Meta:
        ordering = ["-last_used_at"]

    def __str__(self) -> str:
        return f"{self.user_agent or 'A program'} of {self.user_id}"


class KnownOrigin(models.Model):
    """A browser, a program or a network from which a user has signed in; new ones are told."""

    class Kind(models.TextChoices):
        BROWSER = "browser", "Browser"
        PROGRAM = "program", "Program"
        NETWORK = "network", "Network"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="known_origins"
    )
    kind = models.CharField(max_length=8, choices=Kind)
    value = models.CharField(max_length=255)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["-seen_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "kind", "value"], name="accounts_knownorigin_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.value} of {self.user_id}"

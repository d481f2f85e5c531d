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

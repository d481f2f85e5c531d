import uuid
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models.text import validate_one_line
from accounts.vault.fields import EncryptedTextField


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user=user)


class ApiKey(models.Model):
    """A broker login's password, named and owned; the value goes in and never comes out.

    Its secret is null once it is revoked. `rotated_at` moves with the secret alone: sessions that
    were opened with the one before log in again.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        INACTIVE = "inactive", "Inactive"
        EXPIRED = "expired", "Expired"
        REVOKED = "revoked", "Revoked"

    class Verification(models.TextChoices):
        NEVER = "never", "Never verified"
        PENDING = "pending", "Being verified"
        SUCCEEDED = "succeeded", "Verified"
        FAILED = "failed", "Verification failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    name = models.CharField(max_length=100, validators=[validate_one_line])
    secret = EncryptedTextField(null=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="From then on nobody logs in with it. Empty: never."
    )
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    use_count = models.PositiveIntegerField(default=0, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    error_count = models.PositiveIntegerField(default=0, editable=False)
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.CharField(max_length=255, blank=True, editable=False)
    verification = models.CharField(
        max_length=16, choices=Verification, default=Verification.NEVER, editable=False
    )
    verification_message = models.CharField(max_length=255, blank=True, editable=False)
    verified_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the latest verification ended."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["active", "inactive", "expired", "revoked"]),
                name="accounts_apikey_known_status",
            ),
            models.CheckConstraint(
                condition=~Q(status="revoked") | Q(secret__isnull=True),
                name="accounts_apikey_revoked_has_no_secret",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def status_at(self, now: datetime) -> str:
        """Return the status as it is now, also when nobody has marked the key as expired yet."""
        is_over = self.expires_at is not None and self.expires_at <= now
        return (
            self.Status.EXPIRED if is_over and self.status != self.Status.REVOKED else self.status
        )

    def is_usable(self, now: datetime) -> bool:
        """Whether somebody may log in with it now."""
        return self.status_at(now) == self.Status.ACTIVE


class ApiKeyAuditLog(models.Model):
    """One operation on a key, allowed or not; rows are written once and never changed.

    Plain ids, no foreign keys: the trail outlives the key, its owner and its account. `actor_id` is
    null for what TradeGuard did by itself.
    """

    class Action(models.TextChoices):
        CREATED = "created", "Created"
        VIEWED = "viewed", "Viewed"
        UPDATED = "updated", "Changed"
        ROTATED = "rotated", "Secret replaced"
        VERIFIED = "verified", "Verified"
        USED = "used", "Used to log in"
        ASSIGNED = "assigned", "Given to an account"
        EXPIRED = "expired", "Expired"
        REVOKED = "revoked", "Revoked"
        REENCRYPTED = "reencrypted", "Encrypted with another master key"

    class Outcome(models.TextChoices):
        ALLOWED = "allowed", "Allowed"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Failed"

    key_id = models.UUIDField()
    key_name = models.CharField(max_length=100)
    user_id = models.BigIntegerField(help_text="Whose key it is.")
    actor_id = models.BigIntegerField(null=True)
    actor_name = models.CharField(max_length=150, blank=True)
    account_id = models.UUIDField(null=True)
    action = models.CharField(max_length=16, choices=Action)
    outcome = models.CharField(max_length=16, choices=Outcome)
    reason = models.CharField(max_length=32, blank=True)
    message = models.CharField(max_length=255, blank=True)
    ip_address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "API key operation"
        indexes = [
            models.Index(fields=["key_id", "-created_at"], name="accounts_audit_of_key"),
            models.Index(fields=["user_id", "-created_at"], name="accounts_audit_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.key_name}: {self.action} ({self.outcome})"


class MasterKey(models.Model):
    """A master key that the vault has sealed values with, known by its fingerprint alone.

    `canary` is a text that everybody knows, sealed with this key: whoever opens it has the right
    one. A retired key seals nothing any more.
    """

    fingerprint = models.CharField(primary_key=True, max_length=32)
    canary = models.BinaryField()
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.fingerprint

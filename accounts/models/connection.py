from django.db import models

from accounts.models.account import ConnectedAccount


class ConnectionState(models.TextChoices):
    DISCONNECTED = "disconnected", "Disconnected"
    CONNECTING = "connecting", "Connecting"
    CONNECTED = "connected", "Connected"
    ERROR = "error", "Error"


class AccountConnection(models.Model):
    """The state of an account's session, written by the worker of its host.

    `is_wanted` is what the user asked for; the worker brings `state` there and keeps it there, also
    after its own restart.
    """

    account = models.OneToOneField(
        ConnectedAccount, on_delete=models.CASCADE, primary_key=True, related_name="connection"
    )
    is_wanted = models.BooleanField(default=False)
    state = models.CharField(
        max_length=16, choices=ConnectionState, default=ConnectionState.DISCONNECTED
    )
    since = models.DateTimeField()
    reason = models.CharField(max_length=32, blank=True)
    last_error = models.CharField(max_length=255, blank=True)
    retries = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["disconnected", "connecting", "connected", "error"]),
                name="accounts_accountconnection_known_state",
            )
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.state}"


class ConnectionLog(models.Model):
    """One change of an account's connection; a ledger that outlives its account."""

    account_id = models.UUIDField()
    user_id = models.BigIntegerField(db_index=True)
    account_name = models.CharField(max_length=64)
    from_state = models.CharField(max_length=16, choices=ConnectionState)
    to_state = models.CharField(max_length=16, choices=ConnectionState)
    reason = models.CharField(max_length=32, blank=True)
    message = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "connection change"
        indexes = [
            models.Index(fields=["account_id", "-created_at"], name="accounts_log_of_account")
        ]

    def __str__(self) -> str:
        return f"{self.account_name}: {self.from_state} → {self.to_state}"

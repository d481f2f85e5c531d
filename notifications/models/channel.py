import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models.text import validate_one_line
from accounts.vault.fields import EncryptedTextField
from notifications.transports import transport_choices


class ChannelQuerySet(models.QuerySet["Channel"]):
    def owned_by(self, user: object) -> Self:
        return self.filter(user=user)

    def working(self) -> Self:
        return self.filter(switched_off_at=None)


class Channel(models.Model):
    """A way to one person: an address, a chat, a phone, a browser, a program of theirs.

    What a transport needs to reach it (tokens, numbers, addresses) lies sealed in `credentials`, a
    JSON object; `hint` says as much of it as may be shown. The channel by e-mail has none: its
    address is the user's own.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="channels"
    )
    transport = models.CharField(max_length=16, choices=transport_choices)
    name = models.CharField(max_length=64, validators=[validate_one_line])
    credentials = EncryptedTextField(null=True)
    hint = models.CharField(max_length=100, blank=True, editable=False)
    failures_in_a_row = models.PositiveSmallIntegerField(default=0, editable=False)
    last_error = models.CharField(max_length=255, blank=True, editable=False)
    last_sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    switched_off_at = models.DateTimeField(null=True, blank=True, editable=False)
    switched_off_because = models.CharField(max_length=255, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(transport="email"),
                name="notifications_channel_one_email",
            ),
            models.UniqueConstraint(
                fields=["user", "name"], name="notifications_channel_name_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PushKey(models.Model):
    """The key pair by which push services of browsers know this TradeGuard (VAPID, RFC 8292).

    One row, made when it is first needed. A browser's subscription is bound to the public key.
    """

    public_key = models.CharField(max_length=128, help_text="Uncompressed P-256 point, base64url.")
    private_key = EncryptedTextField(null=True)
    singleton = models.BooleanField(default=True, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(singleton=True), name="notifications_pushkey_only_one"
            )
        ]

    def __str__(self) -> str:
        return self.public_key

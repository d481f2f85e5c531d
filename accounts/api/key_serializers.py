from contextlib import suppress
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers

from accounts.api.rows import OwnRowField, TextField, UtcDateTimeField, UtcModelSerializer
from accounts.credentials import TrailEntry
from accounts.models import ApiKey, ApiKeyAuditLog, ConnectedAccount
from accounts.origin import Origin
from accounts.services.key_trail import note_stranger

Action = ApiKeyAuditLog.Action
Outcome = ApiKeyAuditLog.Outcome


class SecretField(TextField):
    """A broker password; what is wrong with one is for the service to say, and to record."""

    def __init__(self, **kwargs: Any) -> None:
        options: dict[str, Any] = {
            "write_only": True,
            "trim_whitespace": False,
            "allow_blank": True,
            "style": {"input_type": "password"},
            "help_text": "The broker password: goes into the vault and never comes out.",
        }
        super().__init__(**{**options, **kwargs})


class OwnKeyField(OwnRowField):
    """The id of a key that the user has; naming somebody else's leaves a row in its trail."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError:
            with suppress(ValueError):
                self._note_stranger(UUID(str(data)))
            raise

    def _note_stranger(self, key_id: UUID) -> None:
        origin = Origin.of_request(self.context["request"])
        note_stranger(key_id=key_id, action=Action.ASSIGNED, origin=origin, now=timezone.now())


class KeyAccountSerializer(UtcModelSerializer[ConnectedAccount]):
    class Meta:
        model = ConnectedAccount
        fields = ["id", "name", "login", "server"]
        read_only_fields = fields


class KeySerializer(UtcModelSerializer[ApiKey]):
    status = serializers.ChoiceField(
        choices=ApiKey.Status.choices,
        required=False,
        help_text="Set it to active or inactive; DELETE revokes a key.",
    )
    accounts = KeyAccountSerializer(many=True, read_only=True)

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "status",
            "expires_at",
            "accounts",
            "use_count",
            "last_used_at",
            "error_count",
            "last_error_at",
            "last_error",
            "verification",
            "verification_message",
            "verified_at",
            "rotated_at",
            "revoked_at",
            "created_at",
            "updated_at",
        ]

    def to_representation(self, instance: ApiKey) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        # Nobody logs in with it any more, also before somebody has marked it as expired.
        shown["status"] = instance.status_at(timezone.now())
        return shown

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "secret" in self.initial_data:
            sentence = "A secret is replaced at api-keys/{id}/rotate, nowhere else."
            raise serializers.ValidationError({"secret": sentence})
        return attrs


class NewKeySerializer(KeySerializer):
    secret = SecretField()

    class Meta(KeySerializer.Meta):
        fields = [*KeySerializer.Meta.fields, "secret"]
        read_only_fields = ["status"]

    status = serializers.ChoiceField(choices=ApiKey.Status.choices, read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs


class RotationSerializer(serializers.Serializer[Any]):
    secret = SecretField()


class TrailEntrySerializer(serializers.Serializer[TrailEntry]):
    id = serializers.IntegerField()
    action = serializers.ChoiceField(choices=Action.choices)
    outcome = serializers.ChoiceField(choices=Outcome.choices)
    reason = serializers.CharField(help_text="A code for programs; may be empty.")
    message = serializers.CharField(help_text="A sentence for people; may be empty.")
    actor = serializers.CharField(help_text="Who it was, as far as you may know.")
    account_id = serializers.UUIDField(allow_null=True)
    ip_address = serializers.CharField(
        allow_null=True, help_text="Of your own requests; of others' it is null."
    )
    user_agent = serializers.CharField()
    created_at = UtcDateTimeField()

from typing import Any

from rest_framework import serializers

from accounts.api.rows import TextField, UtcModelSerializer
from notifications.models import (
    Channel,
    Delivery,
    DeliverySettings,
    Notification,
    Preference,
    transport_choices,
)
from notifications.services.channels import LONGEST_CREDENTIAL


class NotificationSerializer(UtcModelSerializer[Notification]):
    class Meta:
        model = Notification
        fields = [
            "id",
            "type",
            "priority",
            "title",
            "body",
            "link",
            "object_type",
            "object_id",
            "happened_count",
            "last_happened_at",
            "created_at",
            "read_at",
        ]
        read_only_fields = fields


class StatisticsSerializer(serializers.Serializer[object]):
    total_unread = serializers.IntegerField()
    by_type = serializers.DictField(child=serializers.IntegerField())
    by_priority = serializers.DictField(child=serializers.IntegerField())
    recent_count = serializers.IntegerField(help_text="Notifications of the last 24 hours.")


class UpdatedSerializer(serializers.Serializer[object]):
    updated = serializers.IntegerField()


class DeletedSerializer(serializers.Serializer[object]):
    deleted = serializers.IntegerField()


class DeliverySerializer(UtcModelSerializer[Delivery]):
    """A notification on its way by one channel; `hold` says what it waits for."""

    notification_id = serializers.UUIDField(read_only=True)
    channel_id = serializers.UUIDField(
        read_only=True, allow_null=True, help_text="Null when the channel was deleted."
    )

    class Meta:
        model = Delivery
        fields = [
            "id",
            "notification_id",
            "channel_id",
            "channel_name",
            "transport",
            "state",
            "hold",
            "attempts",
            "next_attempt_at",
            "error",
            "created_at",
            "sent_at",
        ]
        read_only_fields = fields


class PreferenceSerializer(UtcModelSerializer[Preference]):
    """What is left out stays as it is."""

    transports = serializers.ListField(
        child=serializers.ChoiceField(choices=transport_choices()),
        required=False,
        max_length=50,
        help_text="All your working channels of these transports are used.",
    )

    class Meta:
        model = Preference
        fields = ["id", "type", "mode", "minimum_priority", "transports", "updated_at"]
        read_only_fields = ["type"]


class NewPreferenceSerializer(PreferenceSerializer):
    """What is left out is as it is by default for this type."""

    class Meta(PreferenceSerializer.Meta):
        read_only_fields: list[str] = []


class SettingsSerializer(UtcModelSerializer[DeliverySettings]):
    """Times are in your own time zone. Quiet hours have two ends or none."""

    class Meta:
        model = DeliverySettings
        fields = ["quiet_from", "quiet_until", "summary_at", "repeat_minutes", "storm_limit"]


class CredentialsField(serializers.DictField):
    """What a transport needs, by the names that `notifications/transports` tells."""

    def __init__(self, **kwargs: Any) -> None:
        value = TextField(allow_blank=True, trim_whitespace=False, max_length=LONGEST_CREDENTIAL)
        super().__init__(child=value, write_only=True, required=False, **kwargs)


class ChannelSerializer(UtcModelSerializer[Channel]):
    """`hint` is what may be shown of the credentials."""

    credentials = CredentialsField(
        help_text="What is left out stays, and so does a secret that is empty."
    )

    class Meta:
        model = Channel
        fields = [
            "id",
            "transport",
            "name",
            "credentials",
            "hint",
            "failures_in_a_row",
            "last_error",
            "last_sent_at",
            "switched_off_at",
            "switched_off_because",
            "created_at",
            "updated_at",
        ]
        read_only_fields = [
            name for name in fields if name not in ("transport", "name", "credentials")
        ]


class ChannelChangeSerializer(ChannelSerializer):
    class Meta(ChannelSerializer.Meta):
        read_only_fields = [*ChannelSerializer.Meta.read_only_fields, "transport"]


class NewChannelSerializer(ChannelSerializer):
    name = TextField(
        required=False, allow_blank=True, max_length=64, help_text="The transport's when left out."
    )
    credentials = CredentialsField()


class AddedChannelSerializer(ChannelSerializer):
    generated = serializers.DictField(
        child=serializers.CharField(),
        read_only=True,
        help_text="Credentials that were made up here: shown now, and never again.",
    )

    class Meta(ChannelSerializer.Meta):
        fields = [*ChannelSerializer.Meta.fields, "generated"]


class CredentialFieldSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField(source="label")
    help = serializers.CharField(source="help_text")
    is_secret = serializers.BooleanField(help_text="Never shown again.")
    is_required = serializers.BooleanField()
    is_asked = serializers.BooleanField(
        help_text="False: comes from a program, such as a browser, not from a person."
    )
    is_made = serializers.BooleanField(help_text="Left empty, it is made up, and shown once.")
    placeholder = serializers.CharField()


class TransportSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField(source="label")
    about = serializers.CharField()
    after_a_crash = serializers.CharField(
        help_text="What becomes of a message whose sender died before it noted that it was sent."
    )
    default_minimum = serializers.CharField(
        help_text="The priority from which notifications go this way unless you say otherwise."
    )
    credentials = CredentialFieldSerializer(many=True, source="fields")


class TransportsSerializer(serializers.Serializer[Any]):
    transports = TransportSerializer(many=True)

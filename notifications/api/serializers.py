from datetime import UTC

from rest_framework import serializers

from notifications.models import Notification, NotificationType, Priority


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    # UTC whatever the zone of the page's user is: programs read this.
    created_at = serializers.DateTimeField(default_timezone=UTC, read_only=True)
    read_at = serializers.DateTimeField(default_timezone=UTC, read_only=True, allow_null=True)

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
            "created_at",
            "read_at",
        ]
        read_only_fields = fields


class NotificationQuerySerializer(serializers.Serializer[object]):
    type = serializers.ChoiceField(choices=NotificationType.choices, required=False)
    priority = serializers.ChoiceField(choices=Priority.choices, required=False)
    unread = serializers.BooleanField(
        required=False, help_text="true: only unread ones; false: only read ones."
    )


class StatisticsSerializer(serializers.Serializer[object]):
    total_unread = serializers.IntegerField()
    by_type = serializers.DictField(child=serializers.IntegerField())
    by_priority = serializers.DictField(child=serializers.IntegerField())
    recent_count = serializers.IntegerField(help_text="Notifications of the last 24 hours.")


class UpdatedSerializer(serializers.Serializer[object]):
    updated = serializers.IntegerField()


class DeletedSerializer(serializers.Serializer[object]):
    deleted = serializers.IntegerField()

from typing import Any

from rest_framework import serializers

from accounts.api.key_serializers import OwnKeyField
from accounts.api.rows import TextField, UtcModelSerializer
from accounts.models import AccountConnection, ApiKey, ConnectedAccount, ConnectionLog, Tag
from accounts.models.connection import ConnectionState
from accounts.services.keys import LONGEST_SECRET
from accounts.services.tags import LONGEST_NAME, MOST_TAGS

STATES = f"One of {', '.join(ConnectionState.values)}."


class ConnectionSerializer(UtcModelSerializer[AccountConnection]):
    message = serializers.CharField(source="last_error", read_only=True)

    class Meta:
        model = AccountConnection
        fields = ["state", "is_wanted", "since", "reason", "message", "retries"]
        read_only_fields = fields


class TagsField(serializers.ListField):
    child = TextField(max_length=LONGEST_NAME)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MOST_TAGS, **kwargs)

    def to_representation(self, data: Any) -> list[str]:
        tags: list[Tag] = list(data.all())
        return [tag.name for tag in tags]


class AccountSerializer(UtcModelSerializer[ConnectedAccount]):
    login = serializers.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        error_messages={"invalid": "Give the account number: digits only."},
    )
    password = TextField(
        write_only=True,
        required=False,
        trim_whitespace=False,
        max_length=LONGEST_SECRET,
        style={"input_type": "password"},
        help_text="Goes into the vault and never comes out. On PATCH: the new password.",
    )
    api_key = OwnKeyField(
        model=ApiKey, required=False, help_text="A key that you have, instead of a password."
    )
    terminal_host = serializers.SlugField(
        source="terminal_host_id",
        required=False,
        max_length=63,
        help_text="The machine with the terminal; chosen once, when the account is created.",
    )
    tags = TagsField(required=False)
    connection = ConnectionSerializer(read_only=True, allow_null=True)

    class Meta:
        model = ConnectedAccount
        fields = [
            "id",
            "name",
            "broker",
            "server",
            "login",
            "password",
            "api_key",
            "role",
            "is_demo",
            "is_active",
            "is_default",
            "currency",
            "initial_balance",
            "broker_time_zone",
            "day_reset_time",
            "day_reset_zone",
            "terminal_host",
            "tags",
            "connection",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "is_default", "created_at", "updated_at"]
        extra_kwargs = {"currency": {"required": True}}

    def validate_terminal_host(self, name: str) -> str:
        if self.instance is not None and name != self.instance.terminal_host_id:
            raise serializers.ValidationError("An account stays on its terminal host.")
        return name


class ConnectionLogSerializer(UtcModelSerializer[ConnectionLog]):
    from_state = serializers.CharField(read_only=True, help_text=STATES)
    to_state = serializers.CharField(read_only=True, help_text=STATES)

    class Meta:
        model = ConnectionLog
        fields = ["id", "from_state", "to_state", "reason", "message", "created_at"]
        read_only_fields = fields


class SwitchResultSerializer(serializers.Serializer[Any]):
    account_id = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=ConnectionState.choices, allow_null=True)
    error = serializers.CharField(source="refusal", allow_null=True)


class SwitchResultsSerializer(serializers.Serializer[Any]):
    results = SwitchResultSerializer(many=True)


class TokensSerializer(serializers.Serializer[Any]):
    access = serializers.CharField(read_only=True)
    refresh = serializers.CharField(read_only=True)

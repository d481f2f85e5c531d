from typing import Any

from rest_framework import serializers

from accounts.api.rows import OwnRowsField
from accounts.models import ConnectedAccount


class ArmingSerializer(serializers.Serializer[Any]):
    account_ids = OwnRowsField(
        model=ConnectedAccount,
        required=False,
        allow_empty=False,
        help_text="Left out: all accounts that the rule reaches.",
    )


class ArmingView(serializers.Serializer[Any]):
    rule_id = serializers.UUIDField(source="rule.pk")
    rule_name = serializers.CharField(source="rule.name")
    account_id = serializers.UUIDField(source="account.pk")
    account_name = serializers.CharField(source="account.name")
    is_armed = serializers.BooleanField()
    is_violated = serializers.BooleanField()
    sentence = serializers.CharField(help_text="What it would do right now if it were armed.")


class ArmingResultsSerializer(serializers.Serializer[Any]):
    results = ArmingView(many=True)

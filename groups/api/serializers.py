from typing import Any

from rest_framework import serializers

from accounts.api.rows import OwnRowsField, UtcModelSerializer
from accounts.models import ConnectedAccount
from groups.models import AccountGroup


class GroupSerializer(UtcModelSerializer[AccountGroup]):
    accounts = OwnRowsField(
        model=ConnectedAccount,
        required=False,
        help_text="Ids of accounts that you have; on PUT and PATCH they replace the members.",
    )
    account_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = AccountGroup
        fields = [
            "id",
            "name",
            "description",
            "accounts",
            "account_count",
            "created_at",
            "updated_at",
        ]


class MembersSerializer(serializers.Serializer[Any]):
    account_ids = OwnRowsField(model=ConnectedAccount, allow_empty=False, write_only=True)

from typing import Any

from rest_framework import serializers

from accounts.api.rows import OwnRowField, OwnRowsField, TextField, UtcModelSerializer
from accounts.models import ConnectedAccount
from groups.models import AccountGroup
from risk.models import RiskRule, RuleBreach
from risk.services.breaches import LONGEST_REASON


class RuleSerializer(UtcModelSerializer[RiskRule]):
    parameters = serializers.DictField(
        required=False,
        help_text=(
            "What the type of the rule takes; an error in one is named “parameters.<name>”. "
            "PUT and PATCH replace them all."
        ),
    )
    accounts = OwnRowsField(model=ConnectedAccount, required=False)
    groups = OwnRowsField(model=AccountGroup, required=False)
    is_locked = serializers.BooleanField(
        read_only=True, help_text="A violation that nobody acknowledged holds the rule as it is."
    )

    class Meta:
        model = RiskRule
        fields = [
            "id",
            "name",
            "rule_type",
            "limit",
            "parameters",
            "action",
            "caution",
            "critical",
            "is_active",
            "is_firm_rule",
            "applies_to_all_accounts",
            "accounts",
            "groups",
            "breach_count",
            "last_breach_at",
            "is_locked",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["breach_count", "last_breach_at"]


class BreachSerializer(UtcModelSerializer[RuleBreach]):
    class Meta:
        model = RuleBreach
        fields = [
            "id",
            "rule_id",
            "rule_name",
            "rule_type",
            "account_id",
            "account_name",
            "observed",
            "limit",
            "floor",
            "unit",
            "message",
            "latched_at",
            "acknowledged_at",
            "acknowledged_reason",
            "cleared_at",
            "cleared_reason",
        ]
        read_only_fields = fields


class ResetSerializer(serializers.Serializer[Any]):
    account_id = OwnRowField(model=ConnectedAccount, write_only=True)
    reason = TextField(max_length=LONGEST_REASON, write_only=True)

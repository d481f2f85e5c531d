from typing import Any
from uuid import UUID

from rest_framework import serializers

from accounts.api.rows import OwnRowField, OwnRowsField, TextField, UtcModelSerializer, YesNoField
from accounts.models import ConnectedAccount
from groups.models import AccountGroup
from risk.models import RiskRule, RuleBreach, RuleOverride
from risk.presentation.rules import stored_sentence
from risk.services.breaches import LONGEST_REASON

_ACCOUNT_HELP = "The account on which the rule differs."


class OverrideSerializer(UtcModelSerializer[RuleOverride]):
    """How a rule differs on one account; what is null or empty is as in the rule."""

    account_id = serializers.UUIDField(read_only=True, help_text=_ACCOUNT_HELP)
    parameters = serializers.DictField(
        required=False, allow_null=True, help_text="Those that differ, by their names."
    )

    class Meta:
        model = RuleOverride
        fields = [
            "account_id",
            "is_excluded",
            "limit",
            "parameters",
            "caution",
            "critical",
            "action",
            "updated_at",
        ]


class OverridesSerializer(serializers.Serializer[Any]):
    results = OverrideSerializer(many=True)


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
    sentence = serializers.SerializerMethodField(help_text="What the rule does, in words.")
    armed_accounts = serializers.SerializerMethodField(
        help_text="Where the rule may reduce and close by itself; elsewhere it alerts and blocks."
    )
    overrides = OverrideSerializer(
        many=True, read_only=True, help_text="The accounts on which the rule differs."
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
            "magic",
            "act_at_fraction",
            "act_after_seconds",
            "closing_order",
            "losers_only",
            "close_fraction",
            "is_active",
            "is_firm_rule",
            "is_cutoff",
            "applies_to_all_accounts",
            "accounts",
            "groups",
            "sentence",
            "overrides",
            "armed_accounts",
            "breach_count",
            "last_breach_at",
            "is_locked",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["breach_count", "last_breach_at", "is_cutoff"]

    def get_sentence(self, rule: RiskRule) -> str:
        return stored_sentence(rule)

    def get_armed_accounts(self, rule: RiskRule) -> list[UUID]:
        return [arming.account_id for arming in rule.armings.all()]


class RulesSerializer(serializers.Serializer[Any]):
    results = RuleSerializer(many=True)


class BreachSerializer(UtcModelSerializer[RuleBreach]):
    acknowledged_by = serializers.CharField(
        read_only=True, allow_null=True, help_text="The user who did; null: nobody, or gone."
    )
    cleared_by = serializers.CharField(
        read_only=True, allow_null=True, help_text="Null: it ended by itself, or is not over."
    )

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
            "is_early",
            "violated_at",
            "latched_at",
            "acknowledged_at",
            "acknowledged_by",
            "acknowledged_reason",
            "cleared_at",
            "cleared_by",
            "cleared_reason",
        ]
        read_only_fields = fields


class BreachDetailSerializer(BreachSerializer):
    """With the evidence, which may hold hundreds of positions and so is not in lists."""

    evidence = serializers.DictField(
        read_only=True, help_text="Account and positions as they were read when it began."
    )

    class Meta(BreachSerializer.Meta):
        fields = [*BreachSerializer.Meta.fields, "evidence"]
        read_only_fields = fields


class ResetSerializer(serializers.Serializer[Any]):
    account_id = OwnRowField(model=ConnectedAccount, write_only=True)
    reason = TextField(max_length=LONGEST_REASON, write_only=True)
    new_reference = YesNoField(
        default=False,
        write_only=True,
        help_text="Count a loss rule of your own from the present equity on; never a firm's.",
    )

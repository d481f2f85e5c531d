from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from accounts.api.rows import OwnRowField, OwnRowsField, TextField, UtcModelSerializer
from accounts.models import ConnectedAccount
from groups.models import AccountGroup
from risk.models import GroupTemplate, RiskRule, RulePreset

_RULES_HELP = "Rules without their targets; the fields are those of risk-rules."


class TermsShape(serializers.Serializer[Any]):
    """A rule without its targets."""

    name = serializers.CharField()
    rule_type = serializers.ChoiceField(choices=RiskRule.Type.choices)
    limit = serializers.DecimalField(max_digits=18, decimal_places=6)
    parameters = serializers.DictField()
    action = serializers.ChoiceField(choices=RiskRule.Action.choices)
    caution = serializers.DecimalField(max_digits=4, decimal_places=3)
    critical = serializers.DecimalField(max_digits=4, decimal_places=3)
    magic = serializers.IntegerField(allow_null=True)
    act_at_fraction = serializers.DecimalField(max_digits=4, decimal_places=3)
    act_after_seconds = serializers.DecimalField(max_digits=7, decimal_places=1)
    closing_order = serializers.ChoiceField(choices=RiskRule.ClosingOrder.choices)
    losers_only = serializers.BooleanField()
    close_fraction = serializers.DecimalField(max_digits=4, decimal_places=3)
    is_firm_rule = serializers.BooleanField()


class ProgramRule(TermsShape):
    phase = serializers.CharField(allow_blank=True, help_text="Empty: in every phase.")
    sentence = serializers.CharField()


class Phase(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()


class Program(serializers.Serializer[Any]):
    """A firm's program, as its page said on the day that it was checked."""

    key = serializers.CharField()
    name = serializers.CharField()
    firm = serializers.CharField()
    program = serializers.CharField()
    account_size = serializers.DecimalField(
        max_digits=18, decimal_places=2, allow_null=True, help_text="Set where amounts are money."
    )
    currency = serializers.CharField(allow_blank=True)
    phases = Phase(many=True)
    rules = ProgramRule(many=True)
    checked_on = serializers.DateField()
    source_page = serializers.CharField(help_text="The firm's page that it was read from.")
    breach = serializers.CharField(help_text="When the firm calls it a breach.")
    advice = serializers.CharField()
    copying = serializers.CharField(help_text="What the firm says about copying trades.")
    notes = serializers.ListField(child=serializers.CharField())


class LeftOut(serializers.Serializer[Any]):
    program = serializers.CharField()
    part = serializers.CharField()
    reason = serializers.CharField()


class PresetSerializer(UtcModelSerializer[RulePreset]):
    rules = serializers.ListField(
        child=serializers.DictField(), required=False, help_text=_RULES_HELP
    )
    rule_ids = OwnRowsField(
        model=RiskRule,
        required=False,
        write_only=True,
        help_text="Your rules to take it from, instead of `rules`.",
    )

    class Meta:
        model = RulePreset
        fields = ["id", "name", "description", "rules", "rule_ids", "created_at", "updated_at"]


@extend_schema_serializer(many=False)
class Presets(serializers.Serializer[Any]):
    programs = Program(many=True)
    own = PresetSerializer(many=True)
    left_out = LeftOut(many=True)


class PresetApplication(serializers.Serializer[Any]):
    preset = TextField(
        max_length=64, help_text="The key of a program, or the id of a preset of your own."
    )
    phase = TextField(max_length=32, required=False, help_text="Left out: the first one.")
    accounts = OwnRowsField(model=ConnectedAccount, required=False)
    groups = OwnRowsField(model=AccountGroup, required=False)


class GroupTemplateSerializer(UtcModelSerializer[GroupTemplate]):
    rules = serializers.ListField(
        child=serializers.DictField(), required=False, help_text=_RULES_HELP
    )
    tags = serializers.ListField(child=TextField(max_length=32), required=False)
    rule_ids = OwnRowsField(
        model=RiskRule,
        required=False,
        write_only=True,
        help_text="Your rules to take it from, instead of `rules`.",
    )
    group_id = OwnRowField(
        model=AccountGroup,
        required=False,
        write_only=True,
        help_text="The group to take rules and common tags from, instead of naming them.",
    )

    class Meta:
        model = GroupTemplate
        fields = [
            "id",
            "name",
            "description",
            "tags",
            "rules",
            "rule_ids",
            "group_id",
            "created_at",
            "updated_at",
        ]


class TemplateApplication(serializers.Serializer[Any]):
    name = TextField(max_length=64, help_text="The name of the new group.")
    accounts = OwnRowsField(model=ConnectedAccount, allow_empty=False)

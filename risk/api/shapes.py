"""The live objects as the schema describes them; risk.live makes them."""

from typing import Any

from rest_framework import serializers

from accounts.api.live_shapes import HealthSummary, NoticeShape, PendingOrder, TerminalFacts
from accounts.models.connection import ConnectionState
from risk.core.statuses import Status
from risk.models import RiskRule

STATUSES = [status.text for status in Status]


class NamedStatus(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    buffer = serializers.FloatField(
        allow_null=True, help_text="What is left of the limit: 1 untouched, 0 at the limit."
    )


class RuleReading(serializers.Serializer[Any]):
    rule_id = serializers.UUIDField()
    rule_type = serializers.ChoiceField(choices=RiskRule.Type.choices)
    name = serializers.CharField()
    action = serializers.ChoiceField(choices=RiskRule.Action.choices)
    status = serializers.ChoiceField(choices=STATUSES)
    buffer = serializers.FloatField(allow_null=True)
    used = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField(allow_null=True)
    left = serializers.FloatField(allow_null=True)
    floor = serializers.FloatField(allow_null=True)
    unit = serializers.CharField()
    message = serializers.CharField()
    latched = serializers.BooleanField()
    acknowledged = serializers.BooleanField()
    reconstructed = serializers.BooleanField(
        help_text="The day's reference was worked out after a missed reset."
    )
    reset_at = serializers.DateTimeField(
        allow_null=True, help_text="When the rule's trading day ends."
    )


class GroupRuleReading(RuleReading):
    weakest_account = NamedStatus(allow_null=True)


class MemberRuleReading(serializers.Serializer[Any]):
    rule_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=STATUSES)
    buffer = serializers.FloatField(allow_null=True)
    used = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField(allow_null=True)
    left = serializers.FloatField(allow_null=True)
    floor = serializers.FloatField(allow_null=True)
    latched = serializers.BooleanField()


class MemberReading(NamedStatus):
    reading_age_seconds = serializers.FloatField(allow_null=True)
    connection = serializers.CharField(help_text="The state of its connection.")
    currency = serializers.CharField()
    equity = serializers.FloatField(allow_null=True)
    rules = MemberRuleReading(many=True)


class GroupRisk(serializers.Serializer[Any]):
    group_id = serializers.UUIDField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    evaluated_at = serializers.DateTimeField(allow_null=True)
    sequence = serializers.IntegerField()
    unknown_accounts = serializers.ListField(child=serializers.UUIDField())
    weakest_account = NamedStatus(allow_null=True)
    rules = GroupRuleReading(many=True)
    accounts = MemberReading(many=True)


class LiveConnection(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=ConnectionState.choices)
    since = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    message = serializers.CharField(allow_blank=True)
    retries = serializers.IntegerField()


class AccountInfo(serializers.Serializer[Any]):
    currency = serializers.CharField()
    currency_digits = serializers.IntegerField()
    balance = serializers.FloatField(allow_null=True)
    credit = serializers.FloatField(allow_null=True)
    equity = serializers.FloatField(allow_null=True)
    profit = serializers.FloatField(allow_null=True)
    margin = serializers.FloatField(allow_null=True)
    margin_free = serializers.FloatField(allow_null=True)
    margin_level = serializers.FloatField(allow_null=True)
    leverage = serializers.IntegerField(allow_null=True)
    margin_mode = serializers.ChoiceField(
        choices=["netting", "exchange", "hedging"],
        allow_null=True,
        help_text="Hedging accounts may hold several positions of a symbol, the others one.",
    )
    is_watching_only = serializers.BooleanField()


class Position(serializers.Serializer[Any]):
    ticket = serializers.IntegerField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=["buy", "sell"])
    volume = serializers.FloatField()
    price_open = serializers.FloatField()
    price_current = serializers.FloatField()
    price_digits = serializers.IntegerField(help_text="Digits of the prices behind the point.")
    sl = serializers.FloatField(allow_null=True)
    tp = serializers.FloatField(allow_null=True)
    swap = serializers.FloatField()
    profit = serializers.FloatField()
    magic = serializers.IntegerField()
    opened_at_broker = serializers.CharField(
        help_text="The broker's wall clock, as the terminal shows it."
    )


class Reading(serializers.Serializer[Any]):
    account_id = serializers.UUIDField()
    name = serializers.CharField()
    read_at = serializers.DateTimeField(allow_null=True)
    reading_age_seconds = serializers.FloatField(allow_null=True)
    is_fresh = serializers.BooleanField(help_text="Not older than 2 seconds, and connected.")


class DatedReading(Reading):
    is_stale = serializers.BooleanField(help_text="The opposite of `is_fresh`.")


class TerminalAccountInfo(AccountInfo, TerminalFacts):
    """The account as its terminal knows it; fields that MetaTrader has carry its names."""


class AccountStatus(DatedReading):
    status = serializers.ChoiceField(choices=STATUSES)
    connection = LiveConnection()
    account_info = TerminalAccountInfo(
        allow_null=True, help_text="As it was at `read_at`; null before the first reading."
    )
    notices = NoticeShape(many=True, help_text="What the trader should know about the account.")
    health = HealthSummary()


class AccountPositions(DatedReading):
    count = serializers.IntegerField(allow_null=True)
    results = Position(many=True, allow_null=True)
    orders = PendingOrder(many=True, allow_null=True)


class AccountRisk(Reading, AccountInfo):
    status = serializers.ChoiceField(choices=STATUSES)
    buffer = serializers.FloatField(allow_null=True)
    evaluated_at = serializers.DateTimeField(allow_null=True)
    sequence = serializers.IntegerField()
    connection = LiveConnection()
    positions = Position(many=True)
    rules = RuleReading(many=True)

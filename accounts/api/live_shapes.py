"""What is told of an account's terminal, orders and health, as the schema describes it."""

from typing import Any

from rest_framework import serializers

from accounts.api.rows import UtcDateTimeField
from accounts.core.kinds import OTHER, OrderType, StopOutMode, TradeMode, words
from accounts.health import WINDOWS
from accounts.notices import Level, NoticeKind

IDENTITY_HELP = "Readings, since the worker began, that told whose they are."


class NoticeShape(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=[kind.value for kind in NoticeKind])
    level = serializers.ChoiceField(choices=[level.value for level in Level])
    sentence = serializers.CharField()


class PendingOrder(serializers.Serializer[Any]):
    ticket = serializers.IntegerField()
    symbol = serializers.CharField()
    type = serializers.ChoiceField(choices=[*words(OrderType).values(), OTHER])
    volume_current = serializers.FloatField(help_text="Lots that are not filled yet.")
    price_open = serializers.FloatField()
    sl = serializers.FloatField(allow_null=True)
    tp = serializers.FloatField(allow_null=True)
    magic = serializers.IntegerField()
    placed_at_broker = serializers.CharField(
        help_text="The broker's wall clock, as the terminal shows it."
    )


class TerminalFacts(serializers.Serializer[Any]):
    login = serializers.IntegerField()
    server = serializers.CharField()
    company = serializers.CharField()
    trade_mode = serializers.ChoiceField(choices=list(words(TradeMode).values()), allow_null=True)
    trade_allowed = serializers.BooleanField(
        help_text="False: an investor login, or trading is switched off for the account."
    )
    terminal_trade_allowed = serializers.BooleanField(
        help_text="Whether algorithmic trading is switched on in the terminal."
    )
    margin_so_mode = serializers.ChoiceField(
        choices=list(words(StopOutMode).values()),
        allow_null=True,
        help_text="What the two levels below are: percent of margin level, or money.",
    )
    margin_so_call = serializers.FloatField(allow_null=True)
    margin_so_so = serializers.FloatField(allow_null=True)
    clock_offset_seconds = serializers.FloatField(
        allow_null=True,
        help_text=(
            "By how much the broker's clock is ahead of the account's zone; null while no ticks"
            " come that could tell."
        ),
    )


class PastError(serializers.Serializer[Any]):
    at = UtcDateTimeField()
    reason = serializers.CharField(help_text="A code for programs; it does not change.")
    message = serializers.CharField()


class HealthSummary(serializers.Serializer[Any]):
    uptime_fraction = serializers.FloatField(
        allow_null=True,
        help_text="Of the last day, 0 to 1; null when the account was not wanted connected.",
    )
    reconnects = serializers.IntegerField(help_text="In the last day.")
    last_error = PastError(allow_null=True)
    identity_checks = serializers.IntegerField(allow_null=True, help_text=IDENTITY_HELP)
    identity_failures = serializers.IntegerField(
        allow_null=True, help_text="Of these, readings of another account; none was used."
    )


class UptimeShape(serializers.Serializer[Any]):
    window = serializers.ChoiceField(choices=list(WINDOWS))
    uptime_fraction = serializers.FloatField(
        allow_null=True,
        help_text=(
            "Connected time over wanted time, 0 to 1. Time in which a person had disconnected the"
            " account counts for neither; null when there was no other."
        ),
    )
    wanted_seconds = serializers.FloatField()
    connected_seconds = serializers.FloatField()
    reconnects = serializers.IntegerField(help_text="How often it came back after an error.")
    failures = serializers.IntegerField(help_text="How often it was lost or could not connect.")


class HealthShape(serializers.Serializer[Any]):
    uptimes = UptimeShape(many=True)
    last_errors = PastError(many=True)
    reading_age_seconds = serializers.FloatField(allow_null=True)
    identity_checks = serializers.IntegerField(allow_null=True, help_text=IDENTITY_HELP)
    identity_failures = serializers.IntegerField(
        allow_null=True, help_text="Of these, readings of another account; none was used."
    )

from typing import Any

from rest_framework import serializers

from accounts.api.rows import TextField, UtcDateTimeField, UtcModelSerializer
from risk.models import GateCheck, Order


class PriceField(serializers.FloatField):
    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        try:
            return super().to_internal_value(data)
        except OverflowError:
            self.fail("invalid")


class GateCheckSerializer(UtcModelSerializer[GateCheck]):
    """One thing that the gate looked at, as if the order were filled."""

    class Meta:
        model = GateCheck
        fields = [
            "check_name",
            "rule_id",
            "rule_name",
            "verdict",
            "value",
            "limit",
            "unit",
            "allowed_volume",
            "sentence",
        ]
        read_only_fields = fields


class OrderSerializer(UtcModelSerializer[Order]):
    tag = serializers.IntegerField(read_only=True, help_text="Its magic number at the broker.")
    is_decided = serializers.SerializerMethodField(
        help_text="False while it waits, is on its way, or its outcome is unknown."
    )
    direction = serializers.ChoiceField(
        choices=Order.Direction.choices, allow_blank=True, read_only=True
    )
    refused_by = serializers.ChoiceField(
        choices=Order.RefusedBy.choices, allow_blank=True, read_only=True
    )
    checks = GateCheckSerializer(
        many=True, read_only=True, source="gate_checks", help_text="What the gate said of it."
    )

    class Meta:
        model = Order
        fields = [
            "id",
            "tag",
            "account_id",
            "kind",
            "origin",
            "enforcement_id",
            "symbol",
            "direction",
            "type",
            "requested_volume",
            "volume",
            "price",
            "stop_limit_price",
            "stop_loss",
            "take_profit",
            "deviation_points",
            "valid_until_at",
            "position_ticket",
            "opposite_ticket",
            "order_ticket",
            "deal_ticket",
            "state",
            "is_decided",
            "refused_by",
            "retcode",
            "message",
            "filled_volume",
            "fill_price",
            "created_at",
            "send_by_at",
            "gated_at",
            "sent_at",
            "answered_at",
            "reconciled_at",
            "checks",
        ]
        read_only_fields = fields
        extra_kwargs = {
            "order_ticket": {
                "help_text": "The broker's; on a hedging account also that of the opened position."
            },
            "position_ticket": {"help_text": "Of the position that it changes or closes."},
        }

    def get_is_decided(self, order: Order) -> bool:
        return order.state not in Order.UNFINISHED


class NewOrderSerializer(serializers.Serializer[Any]):
    symbol = TextField(max_length=29)
    direction = serializers.ChoiceField(choices=Order.Direction.choices)
    type = serializers.ChoiceField(choices=Order.Type.choices, default=Order.Type.MARKET)
    volume = serializers.DecimalField(max_digits=18, decimal_places=8, help_text="In lots.")
    price = PriceField(required=False, allow_null=True, help_text="Of a pending order.")
    stop_limit_price = PriceField(
        required=False, allow_null=True, help_text="Of the limit order that a stop leaves."
    )
    stop_loss = PriceField(
        required=False, allow_null=True, help_text="Needed where a loss rule acts."
    )
    take_profit = PriceField(required=False, allow_null=True)
    deviation_points = serializers.IntegerField(required=False, allow_null=True, min_value=0)
    valid_until_at = UtcDateTimeField(required=False, allow_null=True)


class OrderChangeSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is; 0 takes a stop away."""

    price = PriceField(required=False)
    stop_limit_price = PriceField(required=False)
    stop_loss = PriceField(required=False)
    take_profit = PriceField(required=False)
    valid_until_at = UtcDateTimeField(required=False)


class StopsSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is; 0 takes it away."""

    stop_loss = PriceField(required=False)
    take_profit = PriceField(required=False)


class ClosingSerializer(serializers.Serializer[Any]):
    volume = serializers.DecimalField(
        max_digits=18,
        decimal_places=8,
        required=False,
        allow_null=True,
        help_text="In lots, rounded down to a whole step; left out: all of it.",
    )


class CheckShape(serializers.Serializer[Any]):
    check_name = serializers.CharField(source="name")
    rule_id = serializers.UUIDField(allow_null=True)
    rule_name = serializers.CharField(allow_blank=True)
    verdict = serializers.ChoiceField(choices=GateCheck.Verdict.choices)
    value = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField(allow_null=True)
    unit = serializers.CharField(allow_blank=True)
    allowed_volume = serializers.FloatField(allow_null=True)
    sentence = serializers.CharField()


class GatePreview(serializers.Serializer[Any]):
    """What the gate would say of the order now; it decides again when the order is sent."""

    verdict = serializers.ChoiceField(choices=GateCheck.Verdict.choices)
    volume = serializers.DecimalField(
        max_digits=18,
        decimal_places=8,
        allow_null=True,
        help_text="What may be sent of it, in lots; 0 when it is blocked.",
    )
    sentence = serializers.CharField()
    checks = CheckShape(many=True)

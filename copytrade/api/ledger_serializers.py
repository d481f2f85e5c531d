from typing import Any

from rest_framework import serializers

from accounts.api.rows import UtcDateTimeField, UtcModelSerializer
from copytrade.api.fields import EVENT_KINDS, ORDER_TYPES, SKIP_REASONS, flattened
from copytrade.models import CopyEvent, CopyOrder
from copytrade.selectors.metrics import HOPS
from risk.models import Order

_LOTS: dict[str, Any] = {"max_digits": 18, "decimal_places": 8}


class EventFactsSerializer(UtcModelSerializer[CopyEvent]):
    """What a provider did; volumes are its lots."""

    kind = serializers.ChoiceField(choices=EVENT_KINDS, read_only=True)
    direction = serializers.ChoiceField(
        choices=Order.Direction.choices, allow_blank=True, read_only=True
    )
    order_type = serializers.ChoiceField(choices=ORDER_TYPES, allow_blank=True, read_only=True)

    class Meta:
        model = CopyEvent
        fields = [
            "id",
            "provider_id",
            "provider_name",
            "kind",
            "symbol",
            "direction",
            "order_type",
            "volume",
            "volume_before",
            "price",
            "stop_limit_price",
            "stop_loss",
            "take_profit",
            "magic",
            "is_stop_out",
            "happened_at",
            "detected_at",
            "planned_at",
        ]
        read_only_fields = fields


class TallyShape(serializers.Serializer[Any]):
    """How many copies are in each state, of those that you may see."""

    total = serializers.IntegerField()
    planned = serializers.IntegerField()
    skipped = serializers.IntegerField()
    ordered = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    filled_lots = serializers.DecimalField(**_LOTS)


class EventSerializer(serializers.Serializer[Any]):
    """What a provider did, and how many copies came of it; the tickets are its owner's to see."""

    owns_provider = serializers.BooleanField()
    position_ticket = serializers.IntegerField(allow_null=True)
    order_ticket = serializers.IntegerField(allow_null=True)
    deal_ticket = serializers.IntegerField(allow_null=True)
    copies = TallyShape(source="tally")

    def get_fields(self) -> dict[str, Any]:
        return {**flattened(EventFactsSerializer, "event"), **super().get_fields()}


class CopySerializer(serializers.Serializer[Any]):
    """What became of an event on one follower.

    What is null for another's follower is its owner's to see, and `sentence` says no more then than
    the reason.
    """

    id = serializers.UUIDField(source="copy.pk")
    relationship_id = serializers.UUIDField(source="copy.relationship_id")
    follower_id = serializers.UUIDField(allow_null=True)
    follower_name = serializers.CharField()
    state = serializers.ChoiceField(source="copy.state", choices=CopyOrder.State.choices)
    reason = serializers.ChoiceField(
        source="copy.reason",
        choices=SKIP_REASONS,
        allow_blank=True,
        help_text="Why there is no order, or none that was carried out.",
    )
    sentence = serializers.CharField(allow_blank=True)
    symbol = serializers.CharField(
        source="copy.symbol", allow_blank=True, help_text="The follower's."
    )
    lots = serializers.DecimalField(source="copy.volume", allow_null=True, **_LOTS)
    filled_lots = serializers.DecimalField(source="copy.filled_volume", allow_null=True, **_LOTS)
    slippage_points = serializers.FloatField(source="copy.slippage_points", allow_null=True)
    slippage_money = serializers.FloatField(
        allow_null=True, help_text="In the follower's currency."
    )
    order_id = serializers.UUIDField(allow_null=True)
    follower_position = serializers.IntegerField(allow_null=True)
    planned_at = UtcDateTimeField(source="copy.planned_at")
    gated_at = UtcDateTimeField(source="copy.gated_at", allow_null=True)
    sent_at = UtcDateTimeField(source="copy.sent_at", allow_null=True)
    answered_at = UtcDateTimeField(source="copy.answered_at", allow_null=True)
    ended_at = UtcDateTimeField(source="copy.ended_at", allow_null=True)
    sending_milliseconds = serializers.FloatField(
        allow_null=True, help_text="From the change being seen to the order being sent."
    )
    total_milliseconds = serializers.FloatField(
        allow_null=True, help_text="From the change being seen to the broker's answer."
    )
    event = EventFactsSerializer(allow_null=True)


class HopShape(serializers.Serializer[Any]):
    """Milliseconds; null where no copy has come so far."""

    hop = serializers.ChoiceField(choices=[name for name, _, _ in HOPS])
    count = serializers.IntegerField()
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class SlippageShape(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    mean_points = serializers.FloatField(allow_null=True)
    p95_points = serializers.FloatField(allow_null=True)
    worst_points = serializers.FloatField(allow_null=True)
    money = serializers.DictField(
        child=serializers.FloatField(),
        help_text="By currency; of your own followers alone.",
    )


class SkipShape(serializers.Serializer[Any]):
    reason = serializers.ChoiceField(choices=SKIP_REASONS)
    count = serializers.IntegerField()

    def get_fields(self) -> dict[str, Any]:
        # Declared it would hide the attribute that every field has.
        return {**super().get_fields(), "label": serializers.CharField()}


class MetricsShape(serializers.Serializer[Any]):
    """`success_fraction` is what was done of all that was to be sent and has ended."""

    since = UtcDateTimeField()
    planned = serializers.IntegerField()
    skipped = serializers.IntegerField()
    ordered = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    filled_lots = serializers.DecimalField(max_digits=24, decimal_places=8)
    success_fraction = serializers.FloatField(allow_null=True)
    skips = SkipShape(many=True)
    measured = serializers.IntegerField(
        help_text="The newest copies, of which `hops` and `slippage` are; at most 10,000."
    )
    hops = HopShape(many=True)
    slippage = SlippageShape()

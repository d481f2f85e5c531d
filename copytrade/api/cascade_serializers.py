from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.rows import UtcDateTimeField
from copytrade.cascade.liquidations import Liquidator
from copytrade.cascade.story import Fallen
from copytrade.models import CopyRelationship
from risk.models import Enforcement


class LotsShape(serializers.Serializer[Any]):
    symbol = serializers.CharField()
    lots = serializers.DecimalField(max_digits=18, decimal_places=8)


class FallenSerializer(serializers.Serializer[Fallen]):
    """What a cascade closed on one follower; `run_id` is the enforcement of its owner."""

    relationship_id = serializers.UUIDField()
    run_id = serializers.SerializerMethodField(help_text="Null unless the follower is yours.")
    follower_name = serializers.CharField(source="follower", help_text="The alias unless yours.")
    is_own = serializers.BooleanField()
    scope = serializers.ChoiceField(choices=CopyRelationship.CascadeScope.choices)
    stage = serializers.ChoiceField(choices=Enforcement.Stage.choices)
    began_at = UtcDateTimeField()
    confirmed_at = UtcDateTimeField(allow_null=True, help_text="When it was seen flat.")
    seconds = serializers.FloatField(
        allow_null=True, help_text="From the liquidation to the end of the run."
    )
    positions_closed = serializers.IntegerField()
    closed_by_copies = serializers.IntegerField(help_text="By ordinary copied closes before it.")
    orders_cancelled = serializers.IntegerField()
    lots = serializers.SerializerMethodField(help_text="What was closed, by symbol.")
    message = serializers.CharField(allow_blank=True)

    def get_run_id(self, fallen: Fallen) -> str | None:
        return str(fallen.run_id) if fallen.is_own else None

    @extend_schema_field(LotsShape(many=True))
    def get_lots(self, fallen: Fallen) -> Any:
        rows = [{"symbol": symbol, "lots": lots} for symbol, lots in fallen.lots_by_symbol]
        return LotsShape(rows, many=True).data


class CascadeSerializer(serializers.Serializer[Any]):
    """A liquidation of the provider, and which of the followers that you may see fell with it."""

    id = serializers.UUIDField()
    provider_id = serializers.UUIDField()
    provider_name = serializers.CharField()
    by = serializers.ChoiceField(
        choices=[(each.value, each.value) for each in Liquidator],
        help_text="TradeGuard's margin cut-off, or the provider's broker.",
    )
    at = UtcDateTimeField()
    level_percent = serializers.FloatField(
        allow_null=True, help_text="The margin level; null where nobody knows it."
    )
    reason = serializers.CharField(allow_blank=True)
    is_over = serializers.BooleanField()
    seconds = serializers.FloatField(allow_null=True, help_text="Until the last one was flat.")
    followers = FallenSerializer(many=True)

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from accounts.api.rows import (
    OwnRowField,
    TextField,
    UtcDateTimeField,
    UtcModelSerializer,
    YesNoField,
)
from accounts.models import ConnectedAccount
from copytrade.api.fields import AccountField, flattened
from copytrade.models import CopyRelationship
from copytrade.selectors.relationships import RelationshipView
from copytrade.terms import LONGEST_SYMBOL, MOST_MAGICS, MOST_SYMBOLS, TERMS
from risk.api.order_serializers import PriceField
from risk.models import Order

_LONGEST_REASON = 255
_LOTS: dict[str, Any] = {"max_digits": 18, "decimal_places": 8}
_LARGEST_MAGIC = 2**63 - 1
_MOST_COUNT = 2**31 - 1  # what a column of counts takes
_CONFIRMS = "That you have read what the firms of your accounts say on copying."


class _SymbolsField(serializers.ListField):
    child = TextField(max_length=LONGEST_SYMBOL)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, max_length=MOST_SYMBOLS, **kwargs)


class _CountField(serializers.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        smallest = kwargs.pop("min_value", 1)
        options = {"required": False, "allow_null": True, "max_value": _MOST_COUNT}
        super().__init__(min_value=smallest, **{**options, **kwargs})

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class TermsSerializer(UtcModelSerializer[CopyRelationship]):
    """What is copied and how. Lots are the follower's, fractions such as 0.02 mean 2 %."""

    symbol_map = serializers.DictField(
        child=TextField(max_length=LONGEST_SYMBOL),
        required=False,
        help_text="The follower's symbol by the provider's; others are found by themselves.",
    )
    include_symbols = _SymbolsField(help_text="The provider's; empty: all.")
    exclude_symbols = _SymbolsField(help_text="The provider's.")
    magics = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=_LARGEST_MAGIC),
        required=False,
        max_length=MOST_MAGICS,
        help_text="Only trades with these magic numbers; empty: all.",
    )
    is_reverse = YesNoField(required=False, help_text="Buys become sells, and stops change places.")
    copies_stops = YesNoField(required=False)
    copies_pendings = YesNoField(required=False)
    stop_loss_points = _CountField(
        help_text="From the follower's price, instead of the provider's."
    )
    take_profit_points = _CountField(
        help_text="From the follower's price, instead of the provider's."
    )
    open_deadline_seconds = _CountField(
        allow_null=False, max_value=3600, help_text="Older opens are skipped; closes never are."
    )
    maximum_slippage_points = _CountField(min_value=0)
    maximum_positions = _CountField()

    class Meta:
        model = CopyRelationship
        fields = list(TERMS)
        validators: list[Any] = []
        extra_kwargs: dict[str, dict[str, Any]] = {
            "risk_fraction": {"help_text": "With `risk_percent`: of the equity, at the stop."},
            "fixed_lots": {"help_text": "With `fixed_lot`."},
            "multiplier": {"help_text": "On top of each ratio, and of the provider's lots."},
            "trading_from": {"help_text": "By the clock of `trading_zone`; null: all day."},
            "trading_until": {"help_text": "Before `trading_from` it is of the next day."},
        }


class RelationshipChangeSerializer(TermsSerializer):
    """What is left out stays as it is. An offer's terms are the provider's owner's to change.

    Once it was accepted they are the follower's owner's; the alias is always the provider's.
    """

    seen_at = UtcDateTimeField(
        required=False,
        allow_null=True,
        write_only=True,
        help_text="The `terms_changed_at` that you have read: refused when they changed since.",
    )

    class Meta(TermsSerializer.Meta):
        fields = ["alias", "seen_at", *TERMS]
        extra_kwargs = {**TermsSerializer.Meta.extra_kwargs, "alias": {"required": False}}


class NewRelationshipSerializer(TermsSerializer):
    provider = OwnRowField(model=ConnectedAccount)
    follower = AccountField(
        help_text="Of yours, it copies at once; another's, its owner is asked to accept."
    )
    confirms_firm_terms = YesNoField(default=False, help_text=_CONFIRMS)

    class Meta(TermsSerializer.Meta):
        fields = ["provider", "follower", "alias", "confirms_firm_terms", *TERMS]
        extra_kwargs = {**TermsSerializer.Meta.extra_kwargs, "alias": {"required": False}}


class RelationshipSerializer(serializers.Serializer[Any]):
    """A relationship as you may see it, with its terms; they are null while `shows_terms` is false.

    The owner of a provider knows another's follower by its alias alone.
    """

    id = serializers.UUIDField()
    provider_id = serializers.UUIDField(source="relationship.provider_id")
    provider_name = serializers.CharField()
    provider_owner = serializers.CharField()
    follower_id = serializers.SerializerMethodField(help_text="Null unless it is yours.")
    follower_name = serializers.CharField(help_text="The alias unless it is yours.")
    alias = serializers.CharField(source="relationship.alias")
    owns_provider = serializers.BooleanField()
    owns_follower = serializers.BooleanField()
    state = serializers.ChoiceField(
        source="relationship.state", choices=CopyRelationship.State.choices
    )
    provider_hold = serializers.ChoiceField(
        source="relationship.provider_hold",
        choices=CopyRelationship.Hold.choices,
        allow_blank=True,
        help_text="How the provider's owner holds it back.",
    )
    follower_hold = serializers.ChoiceField(
        source="relationship.follower_hold",
        choices=CopyRelationship.Hold.choices,
        allow_blank=True,
        help_text="How the follower's owner, or TradeGuard for it, holds it back.",
    )
    ending = serializers.ChoiceField(
        source="relationship.ending",
        choices=CopyRelationship.Ending.choices,
        allow_blank=True,
        help_text="How it ends, or has ended.",
    )
    closing_since_at = UtcDateTimeField(
        source="relationship.closing_since_at",
        allow_null=True,
        help_text="Since when all that was copied is being closed.",
    )
    state_reason = serializers.CharField(allow_blank=True)
    state_cause = serializers.ChoiceField(
        source="relationship.state_cause", choices=CopyRelationship.Cause.choices
    )
    state_changed_at = UtcDateTimeField(source="relationship.state_changed_at")
    created_at = UtcDateTimeField(source="relationship.created_at")
    accepted_at = UtcDateTimeField(source="relationship.accepted_at", allow_null=True)
    started_at = UtcDateTimeField(
        source="relationship.started_at",
        allow_null=True,
        help_text="Trades from then on are copied.",
    )
    terms_changed_at = UtcDateTimeField(source="relationship.terms_changed_at")
    held_count = serializers.IntegerField(
        source="relationship.held_count", help_text="Copied positions that are held now."
    )
    held_lots = serializers.DecimalField(
        source="relationship.held_lots", max_digits=18, decimal_places=8
    )
    actions = serializers.ListField(
        child=serializers.CharField(), help_text="What you may do with it now."
    )
    endings = serializers.ListField(
        child=serializers.CharField(), help_text="What `terminate` takes from you as `ending`."
    )
    shows_terms = serializers.BooleanField()

    def get_fields(self) -> dict[str, Any]:
        terms = flattened(TermsSerializer, "relationship", allow_null=True)
        return {**super().get_fields(), **terms}

    def get_follower_id(self, view: RelationshipView) -> str | None:
        return str(view.relationship.follower_id) if view.owns_follower else None

    def to_representation(self, instance: RelationshipView) -> dict[str, Any]:
        shown = super().to_representation(instance)
        return shown if instance.shows_terms else {**shown, **dict.fromkeys(TERMS)}


class AcceptingSerializer(serializers.Serializer[Any]):
    confirms_firm_terms = YesNoField(default=False, help_text=_CONFIRMS)
    seen_at = UtcDateTimeField(
        required=False,
        allow_null=True,
        help_text="The `terms_changed_at` that you have read: refused when they changed since.",
    )


class ReasonSerializer(serializers.Serializer[Any]):
    reason = TextField(
        max_length=_LONGEST_REASON,
        required=False,
        allow_blank=True,
        help_text="Both sides read it.",
    )


class TerminatingSerializer(ReasonSerializer):
    ending = serializers.ChoiceField(
        choices=CopyRelationship.Ending.choices,
        default=CopyRelationship.Ending.KEEP,
        help_text=(
            "What becomes of the copied positions: they stay with their follower, are closed as "
            "the provider closes, or now, which only the follower's owner may ask for."
        ),
    )


class ExampleQuestion(TermsSerializer):
    """With the terms as they would be; filters are not asked."""

    provider = AccountField(help_text="Yours, or one that is offered to your follower.")
    follower = OwnRowField(model=ConnectedAccount)
    symbol = TextField(
        max_length=LONGEST_SYMBOL,
        required=False,
        allow_blank=True,
        help_text="The provider's; left out: one that it holds.",
    )
    lots = serializers.DecimalField(min_value=0, default=Decimal(1), **_LOTS)
    direction = serializers.ChoiceField(
        choices=Order.Direction.choices, default=Order.Direction.BUY
    )
    stop_loss = PriceField(required=False, allow_null=True, min_value=0)

    class Meta(TermsSerializer.Meta):
        fields = ["provider", "follower", "symbol", "lots", "direction", "stop_loss", *TERMS]


class ExampleShape(serializers.Serializer[Any]):
    """What the follower would get of an open right now; null lots: none, `sentence` says why."""

    provider_symbol = serializers.CharField()
    provider_lots = serializers.DecimalField(**_LOTS)
    follower_symbol = serializers.CharField(allow_blank=True)
    lots = serializers.DecimalField(allow_null=True, **_LOTS)
    sentence = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)

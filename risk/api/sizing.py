"""How many lots a risk allows."""

from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.rows import OwnRowField, TextField
from accounts.models import ConnectedAccount
from risk.api.order_serializers import PriceField
from risk.core.sizing import LimitedBy
from risk.gate.sizing import position_size
from risk.models import Order

_SIZE = OpenApiExample(
    "One percent of the balance",
    value={
        "account_id": "0d0ff8a4-6a2c-4f0e-9c27-5d3a3f1f9e11",
        "symbol": "EURUSD",
        "direction": "buy",
        "stop_loss": 1.0812,
        "risk_fraction": "0.01",
    },
    request_only=True,
)


class PositionSizeQuestion(serializers.Serializer[Any]):
    """Give the risk as `risk_fraction` of the balance or as `risk_money`."""

    account_id = OwnRowField(model=ConnectedAccount)
    symbol = TextField(max_length=29)
    direction = serializers.ChoiceField(choices=Order.Direction.choices)
    stop_loss = PriceField(min_value=0)
    entry_price = PriceField(
        required=False, allow_null=True, min_value=0, help_text="Left out: at the market."
    )
    risk_fraction = serializers.DecimalField(
        max_digits=7, decimal_places=6, required=False, min_value=0, max_value=1
    )
    risk_money = serializers.DecimalField(
        max_digits=18, decimal_places=2, required=False, min_value=0
    )


class PositionSizeShape(serializers.Serializer[Any]):
    """Money is in the account's currency; null is not known."""

    lots = serializers.DecimalField(
        max_digits=18, decimal_places=8, help_text="0 when it is refused."
    )
    risk_money = serializers.FloatField(allow_null=True, help_text="What was allowed to be lost.")
    loss_per_lot = serializers.FloatField(allow_null=True, help_text="With commission both ways.")
    loss_at_stop = serializers.FloatField(allow_null=True)
    margin = serializers.FloatField(allow_null=True)
    entry_price = serializers.FloatField(allow_null=True)
    is_refused = serializers.BooleanField()
    limited_by = serializers.ChoiceField(
        choices=[each.value for each in LimitedBy if each],
        allow_blank=True,
        help_text="What made it smaller than the risk alone would, or why it is refused.",
    )
    sentence = serializers.CharField()


class PositionSizeView(APIView):
    @extend_schema(
        operation_id="risk_rules_calculate_position_size",
        request=PositionSizeQuestion,
        responses=PositionSizeShape,
        examples=[_SIZE],
    )
    def post(self, request: Request) -> Response:
        """Work out the lots that lose a given risk at the stop, rounded down to the step.

        Below the smallest lot it is refused with the reason, never rounded up.
        """
        serializer = PositionSizeQuestion(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        if ("risk_fraction" in given) == ("risk_money" in given):
            raise ValidationError(
                {"risk_fraction": "Give risk_fraction or risk_money, one of both."}
            )
        size = position_size(account=given.pop("account_id"), now=timezone.now(), **given)
        shown = {**asdict(size), "is_refused": size.is_refused}
        return Response(PositionSizeShape(shown).data)

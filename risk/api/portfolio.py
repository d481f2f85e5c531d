"""The risk of all accounts, of some, or of a group taken together."""

from dataclasses import asdict, fields
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.rows import MOST_IDS, UtcDateTimeField, user_of
from accounts.models import ConnectedAccount, User
from accounts.selectors import accounts_of
from groups.selectors import groups_of
from risk.portfolio import portfolio_risk
from risk.portfolio_figures import PortfolioFigures

_FIGURES = [each.name for each in fields(PortfolioFigures)]


class ExposureShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    net = serializers.FloatField(help_text="Positive when bought.")
    gross = serializers.FloatField()
    of_value = serializers.FloatField(allow_null=True, help_text="|net| over the account value.")


class FiguresShape(serializers.Serializer[Any]):
    """Money is in `currency`; null is not known, or means nothing, and `reasons` says why."""

    currency = serializers.CharField(allow_null=True)
    accounts = serializers.IntegerField(allow_null=True)
    account_value = serializers.FloatField(allow_null=True)
    balance = serializers.FloatField(allow_null=True)
    cash = serializers.FloatField(
        allow_null=True, help_text="What lies in the accounts without the floating results."
    )
    buying_power = serializers.FloatField(
        allow_null=True, help_text="What could still be opened with the free margin."
    )
    total_position_value = serializers.FloatField(
        allow_null=True, help_text="The notional of all positions."
    )
    number_of_positions = serializers.IntegerField(allow_null=True)
    daily_pl = serializers.FloatField(allow_null=True)
    daily_pl_percent = serializers.FloatField(allow_null=True)
    total_unrealized_pl = serializers.FloatField(allow_null=True)
    total_unrealized_pl_percent = serializers.FloatField(allow_null=True)
    leverage = serializers.FloatField(allow_null=True)
    margin_level = serializers.FloatField(allow_null=True, help_text="In percent.")
    max_drawdown_percent = serializers.FloatField(allow_null=True)
    value_at_risk = serializers.FloatField(
        allow_null=True, help_text="The loss of a day that one day in twenty exceeds."
    )
    value_at_risk_percent = serializers.FloatField(allow_null=True)
    expected_shortfall = serializers.FloatField(
        allow_null=True, help_text="The mean loss of the days beyond the value at risk."
    )
    expected_shortfall_percent = serializers.FloatField(allow_null=True)
    days = serializers.IntegerField(allow_null=True, help_text="Full days that are known.")
    exposure_by_symbol = ExposureShape(many=True, allow_null=True)
    exposure_by_currency = ExposureShape(many=True, allow_null=True)
    reasons = serializers.DictField(child=serializers.CharField())


class MatrixShape(serializers.Serializer[Any]):
    matrix = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField(allow_null=True)), allow_null=True
    )


class AccountCorrelationsShape(MatrixShape):
    """Coefficients of daily returns; null where too few days are known of both."""

    account_ids = serializers.ListField(child=serializers.UUIDField())
    names = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField(allow_blank=True)


class SymbolCorrelationsShape(MatrixShape):
    """Coefficients of the daily returns of what is held."""

    symbols = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField(allow_blank=True)


class PortfolioRiskShape(FiguresShape):
    """The figures of all accounts together; null where they are in several currencies.

    Nothing is converted: `by_currency` has the figures of each. An account without a fresh reading
    is in `unknown_accounts`, and no present figure is known then.
    """

    at = UtcDateTimeField()
    account_ids = serializers.ListField(child=serializers.UUIDField())
    unknown_accounts = serializers.ListField(child=serializers.UUIDField())
    by_currency = FiguresShape(many=True)
    account_correlations = AccountCorrelationsShape()
    symbol_correlations = SymbolCorrelationsShape()


class PortfolioRiskView(APIView):
    @extend_schema(
        operation_id="risk_rules_portfolio_risk",
        parameters=[
            OpenApiParameter(
                "account_ids",
                OpenApiTypes.STR,
                description="Ids of accounts with commas between; left out: all active ones.",
            ),
            OpenApiParameter(
                "group_id", OpenApiTypes.UUID, description="The active accounts of a group instead."
            ),
        ],
        responses=PortfolioRiskShape,
    )
    def get(self, request: Request) -> Response:
        """Tell the risk of all your accounts, of some, or of a group taken together."""
        user = user_of(request)
        accounts = _accounts(user, request)
        risk = portfolio_risk(user=user, accounts=accounts, now=timezone.now())
        told = asdict(risk)
        total: dict[str, Any] = told.pop("total") or dict.fromkeys(_FIGURES)
        reasons = {**(total["reasons"] or {}), **told["reasons"]}
        return Response(PortfolioRiskShape({**total, **told, "reasons": reasons}).data)


def _accounts(user: User, request: Request) -> list[ConnectedAccount]:
    own = accounts_of(user)
    ids, group_id = request.query_params.get("account_ids"), request.query_params.get("group_id")
    if ids and group_id:
        raise ValidationError({"group_id": "Name accounts or a group, not both."})
    if ids:
        wanted = _uuids("account_ids", ids.split(","))
        found = list(own.filter(pk__in=wanted))
        if len(found) < len(wanted):
            raise ValidationError({"account_ids": "not found"})
        return found
    if group_id:
        group = groups_of(user).filter(pk__in=_uuids("group_id", [group_id])).first()
        if group is None:
            raise ValidationError({"group_id": "not found"})
        own = own.filter(groups=group)
    return list(own.filter(is_active=True))


def _uuids(field: str, texts: list[str]) -> set[UUID]:
    if len(texts) > MOST_IDS:
        raise ValidationError({field: f"At most {MOST_IDS} ids are possible."})
    try:
        return {UUID(text.strip()) for text in texts}
    except ValueError:
        raise ValidationError({field: "These are no ids of accounts or groups."}) from None

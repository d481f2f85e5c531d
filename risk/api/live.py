"""What the last tick knows of an account or a group, with its age."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.rows import own_row, user_of
from accounts.selectors import accounts_of
from groups.selectors import groups_of
from risk.api import shapes
from risk.live import account_risk, group_risk

_READING = ("account_id", "name", "read_at", "reading_age_seconds", "is_fresh")
_INFO = (
    "currency",
    "currency_digits",
    "balance",
    "credit",
    "equity",
    "profit",
    "margin",
    "margin_free",
    "margin_level",
    "leverage",
    "margin_mode",
    "is_watching_only",
)


class GroupRiskView(APIView):
    @extend_schema(responses=shapes.GroupRisk)
    def get(self, request: Request, pk: UUID) -> Response:
        """Tell the status of a group, its weakest account, and the weakest of every rule."""
        group = own_row(groups_of(user_of(request)), pk)
        return Response(group_risk(group, now=timezone.now()))


class AccountRiskView(APIView):
    @extend_schema(responses=shapes.AccountRisk)
    def get(self, request: Request, pk: UUID) -> Response:
        """Tell how far an account is from breaking each of its rules."""
        return Response(_risk_of(request, pk))


class AccountStatusView(APIView):
    @extend_schema(responses=shapes.AccountStatus)
    def get(self, request: Request, pk: UUID) -> Response:
        """Tell the state of an account's connection, and what its terminal says of it."""
        risk = _risk_of(request, pk)
        info = {name: risk[name] for name in _INFO} if risk["read_at"] is not None else None
        status, connection = risk["status"], risk["connection"]
        return Response(
            {**_reading(risk), "status": status, "connection": connection, "account_info": info}
        )


class AccountPositionsView(APIView):
    @extend_schema(responses=shapes.AccountPositions)
    def get(self, request: Request, pk: UUID) -> Response:
        """List an account's open positions; null, not an empty list, when they are not known."""
        risk = _risk_of(request, pk)
        positions = risk["positions"] if risk["read_at"] is not None else None
        count = None if positions is None else len(positions)
        return Response({**_reading(risk), "count": count, "results": positions})


def _risk_of(request: Request, pk: UUID) -> dict[str, Any]:
    account = own_row(accounts_of(user_of(request)), pk)
    return dict(account_risk(account, now=timezone.now()))


def _reading(risk: dict[str, Any]) -> dict[str, Any]:
    return {name: risk[name] for name in _READING}

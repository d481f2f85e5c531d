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
from risk.live import account_risk, account_status, group_risk

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
        status = _status_of(request, pk)
        info = None
        if status["terminal"] is not None:
            info = {name: status[name] for name in _INFO} | status["terminal"]
        told = {name: status[name] for name in ("status", "connection", "notices", "health")}
        shown = shapes.AccountStatus({**_reading(status), **told, "account_info": info})
        return Response(shown.data)


class AccountPositionsView(APIView):
    @extend_schema(responses=shapes.AccountPositions)
    def get(self, request: Request, pk: UUID) -> Response:
        """List an account's open positions and pending orders.

        Null, not an empty list, when they are not known.
        """
        status = _status_of(request, pk)
        positions = status["positions"] if status["read_at"] is not None else None
        count = None if positions is None else len(positions)
        held = {"count": count, "results": positions, "orders": status["orders"]}
        return Response({**_reading(status), **held})


def _status_of(request: Request, pk: UUID) -> dict[str, Any]:
    account = own_row(accounts_of(user_of(request)), pk)
    return dict(account_status(account, now=timezone.now()))


def _risk_of(request: Request, pk: UUID) -> dict[str, Any]:
    account = own_row(accounts_of(user_of(request)), pk)
    return dict(account_risk(account, now=timezone.now()))


def _reading(risk: dict[str, Any]) -> dict[str, Any]:
    return {**{name: risk[name] for name in _READING}, "is_stale": not risk["is_fresh"]}

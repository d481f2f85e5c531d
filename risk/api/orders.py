"""Orders through TradeGuard: asked for here, decided and sent by the account's host."""

from collections.abc import Callable, Sequence
from typing import Any

from django.http import Http404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.query import InstantFilter, QueryFilterSet, WholeNumberFilter
from accounts.api.rows import LIST_FILTERS, own_row, user_of
from accounts.api.throttles import OrderThrottle
from accounts.models import ConnectedAccount
from accounts.selectors import accounts_of
from risk import selectors
from risk.api.enforcement import CLOSING_THROTTLES, MONEY_THROTTLES
from risk.api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from risk.api.order_serializers import (
    ClosingSerializer,
    GatePreview,
    NewOrderSerializer,
    OrderChangeSerializer,
    OrderSerializer,
    StopsSerializer,
)
from risk.gate import preview_order
from risk.models import Order
from risk.orders.drafts import draft
from risk.services import orders as services
from risk.services.order_errors import placing_errors, raise_errors

_ORDER = OpenApiExample(
    "Half a lot with a stop",
    value={"symbol": "EURUSD", "direction": "buy", "volume": "0.50", "stop_loss": 1.0812},
    request_only=True,
)
_MOST_DIGITS = 19
_OPTIONAL = (
    "price", "stop_limit_price", "stop_loss", "take_profit", "deviation_points", "valid_until_at",
)  # fmt: skip


class OrderFilter(QueryFilterSet):
    symbol = filters.CharFilter()
    position_ticket = WholeNumberFilter()
    order_ticket = WholeNumberFilter()
    since = InstantFilter(field_name="created_at", lookup_expr="gte")

    class Meta:
        model = Order
        fields = ["id", "state", "kind", "origin", "direction", "enforcement_id"]


class _AccountView(APIView):
    """Below an account of the signed-in user."""

    may_refuse = True
    throttle_classes = MONEY_THROTTLES

    def account(self) -> ConnectedAccount:
        return own_row(accounts_of(user_of(self.request)), self.kwargs["pk"])

    def ticket(self) -> int:
        text = str(self.kwargs["ticket"])
        if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text)):
            raise Http404
        return int(text)

    def given(self, serializer_class: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        serializer = serializer_class(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def ask(self, service: Callable[..., Order], **fields: Any) -> Order:
        """Have the service write an order, and wait a moment for what becomes of it."""
        order = service(
            user=user_of(self.request),
            origin=Order.Origin.API,
            idempotency_key=idempotency_key(self.request),
            now=timezone.now(),
            **fields,
        )
        return services.await_outcome(order)


class OrdersView(_AccountView, generics.GenericAPIView[Order]):
    serializer_class = OrderSerializer
    filter_backends = LIST_FILTERS
    filterset_class = OrderFilter
    search_fields = ["symbol", "message"]
    ordering_fields = ["created_at", "symbol", "state"]
    ordering = ["-created_at"]
    queryset = Order.objects.none()

    def get_throttles(self) -> list[Any]:
        throttles = super().get_throttles()
        if self.request.method == "GET":
            return [each for each in throttles if not isinstance(each, OrderThrottle)]
        return throttles

    @extend_schema(operation_id="account_orders_list", responses=OrderSerializer(many=True))
    def get(self, _request: Request, **_ids: object) -> Response:
        """List the orders that went through TradeGuard, newest first, with the gate's checks."""
        rows = self.filter_queryset(selectors.orders_of(self.account()))
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(_shown(page))

    @extend_schema(
        operation_id="account_orders_place",
        parameters=[IDEMPOTENCY_KEY],
        request=NewOrderSerializer,
        responses={201: OrderSerializer},
        examples=[_ORDER],
        filters=False,
    )
    def post(self, _request: Request, **_ids: object) -> Response:
        """Place an order: the gate checks it as if it were filled, then it is sent.

        `state` tells what became of it within two seconds: `rejected` with the gate's sentence in
        `message`, `filled` with less than asked for, or still `pending`, `sent` or `unknown`; then
        look again. An open is sent within ten seconds or never, and never twice.
        """
        account = self.account()
        order = self.ask(services.place_order, account=account, **self.given(NewOrderSerializer))
        return Response(_shown([order])[0], status.HTTP_201_CREATED)


class OrderPreviewView(_AccountView):
    may_refuse = False

    @extend_schema(
        operation_id="account_orders_preview",
        request=NewOrderSerializer,
        responses=GatePreview,
        examples=[_ORDER],
    )
    def post(self, _request: Request, **_ids: object) -> Response:
        """Tell what the gate would say of an order now; nothing is written or sent."""
        account, given, now = self.account(), self.given(NewOrderSerializer), timezone.now()
        fields: dict[str, Any] = {**dict.fromkeys(_OPTIONAL), **given}
        fields["requested_volume"] = fields.pop("volume")
        for stop in ("stop_loss", "take_profit"):
            fields[stop] = fields[stop] or None  # 0 is none, as when it is placed
        raise_errors(placing_errors(fields, None, now))
        kind = Order.Kind.OPEN if fields["type"] == Order.Type.MARKET else Order.Kind.PLACE
        host = account.terminal_host_id
        asked = draft(account, kind, host=host, origin=Order.Origin.API, now=now, **fields)
        decision = preview_order(account=account, draft=asked, now=now)
        return Response(GatePreview(decision).data)


class OrderView(_AccountView):
    @extend_schema(
        operation_id="account_order_change",
        parameters=[IDEMPOTENCY_KEY],
        request=OrderChangeSerializer,
        responses=OrderSerializer,
    )
    def patch(self, _request: Request, **_ids: object) -> Response:
        """Change a pending order at the broker, by its ticket there."""
        account, number = self.account(), self.ticket()
        fields = self.given(OrderChangeSerializer)
        order = self.ask(services.modify_order, account=account, ticket=number, **fields)
        return Response(_shown([order])[0])

    @extend_schema(
        operation_id="account_order_cancel",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={200: OrderSerializer},
    )
    def delete(self, _request: Request, **_ids: object) -> Response:
        """Delete a pending order at the broker; answers with what became of it."""
        account, number = self.account(), self.ticket()
        order = self.ask(services.cancel_order, account=account, ticket=number)
        return Response(_shown([order])[0])


class PositionView(_AccountView):
    @extend_schema(
        operation_id="account_position_change",
        parameters=[IDEMPOTENCY_KEY],
        request=StopsSerializer,
        responses=OrderSerializer,
    )
    def patch(self, _request: Request, **_ids: object) -> Response:
        """Change the stop loss and take profit of a position."""
        account, number = self.account(), self.ticket()
        fields = self.given(StopsSerializer)
        order = self.ask(services.modify_position, account=account, ticket=number, **fields)
        return Response(_shown([order])[0])


class PositionCloseView(_AccountView):
    throttle_classes = CLOSING_THROTTLES

    @extend_schema(
        operation_id="account_position_close",
        parameters=[IDEMPOTENCY_KEY],
        request=ClosingSerializer,
        responses={201: OrderSerializer},
    )
    def post(self, _request: Request, **_ids: object) -> Response:
        """Close a position, or a part of it; closing is always allowed."""
        account, number = self.account(), self.ticket()
        fields = self.given(ClosingSerializer)
        order = self.ask(services.close_position, account=account, ticket=number, **fields)
        return Response(_shown([order])[0], status.HTTP_201_CREATED)


def _shown(orders: Sequence[Order]) -> list[Any]:
    checks = selectors.checks_of(orders)
    for order in orders:
        order.gate_checks = checks.get(order.pk, [])  # type: ignore[attr-defined]  # for the page
    return list(OrderSerializer(orders, many=True).data)

"""An account's past: deals, equity, and how well its connection held."""

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors
from accounts.api.live_shapes import HealthShape
from accounts.api.pagination import PageNumberPagination
from accounts.api.query import InstantFilter, QueryFilterSet
from accounts.api.rows import UtcModelSerializer
from accounts.api.viewsets import OwnedViewSet
from accounts.core.kinds import OTHER, DealEntry, DealReason, DealType, words
from accounts.facts import health_object
from accounts.models import ConnectedAccount, Deal, EquitySnapshot

Resolution = EquitySnapshot.Resolution
RESOLUTIONS = {each.label.lower(): each for each in Resolution}
# So much is shown when nobody says from when on; of days all.
_SHOWN = {Resolution.MINUTE: timedelta(days=1), Resolution.HOUR: timedelta(days=30)}
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_NUMBERS = {word: number for number, word in words(DealType).items()}


class KindField(serializers.ChoiceField):
    """One of MetaTrader's numbers, told as a word."""

    def __init__(self, *, kind: type[IntEnum], **kwargs: Any) -> None:
        self.kind, self.words = kind, words(kind)
        super().__init__(choices=[*self.words.values(), OTHER], read_only=True, **kwargs)

    def to_representation(self, value: Any) -> str:
        return self.words.get(value, OTHER)


class DealSerializer(UtcModelSerializer[Deal]):
    type = KindField(kind=DealType)
    entry = KindField(kind=DealEntry)
    reason = KindField(kind=DealReason)

    class Meta:
        model = Deal
        fields = [
            "ticket",
            "order",
            "position",
            "time",
            "time_msc",
            "type",
            "entry",
            "reason",
            "symbol",
            "volume_lots",
            "price",
            "commission",
            "swap",
            "profit",
            "fee",
            "magic",
        ]
        read_only_fields = fields


class SnapshotSerializer(UtcModelSerializer[EquitySnapshot]):
    class Meta:
        model = EquitySnapshot
        fields = [
            "at",
            "equity",
            "equity_low",
            "equity_high",
            "balance",
            "credit",
            "margin",
            "position_count",
            "readings",
        ]
        read_only_fields = fields


class DealFilter(QueryFilterSet):
    # The word that an address has is one that Python keeps for itself.
    locals()["from"] = InstantFilter(field_name="time", lookup_expr="gte")
    to = InstantFilter(field_name="time", lookup_expr="lt")
    symbol = filters.CharFilter()
    type = filters.ChoiceFilter(
        choices=[(name, name) for name in _NUMBERS], method="of_type", label="The kind of deal."
    )

    class Meta:
        model = Deal
        fields: list[str] = []

    def of_type(self, deals: QuerySet[Deal], _name: str, value: str) -> QuerySet[Deal]:
        return deals.filter(type=_NUMBERS[value])


class EquityFilter(QueryFilterSet):
    """Shows minutes of the last day when nothing is asked; gaps are gaps."""

    locals()["from"] = InstantFilter(field_name="at", lookup_expr="gte")
    to = InstantFilter(field_name="at", lookup_expr="lt")
    resolution = filters.ChoiceFilter(
        choices=[(name, name) for name in RESOLUTIONS], method="of_resolution"
    )

    class Meta:
        model = EquitySnapshot
        fields: list[str] = []

    def of_resolution(
        self, snapshots: QuerySet[EquitySnapshot], _name: str, value: str
    ) -> QuerySet[EquitySnapshot]:
        return snapshots.filter(resolution=RESOLUTIONS[value])

    def filter_queryset(self, queryset: QuerySet[EquitySnapshot]) -> QuerySet[EquitySnapshot]:
        asked: dict[str, Any] = self.form.cleaned_data
        resolution = RESOLUTIONS[asked["resolution"] or "minute"]
        chosen: QuerySet[EquitySnapshot] = super().filter_queryset(queryset)
        chosen = chosen.filter(resolution=resolution)  # minutes when nobody asks
        shown = _SHOWN.get(resolution)
        if asked["from"] is None and shown is not None:
            until: datetime = asked["to"] or timezone.now()
            since = _BEGINNING + max(until - _BEGINNING - shown, timedelta())
            chosen = chosen.filter(at__gte=since)
        return chosen


class EquityPagination(PageNumberPagination):
    """A chart takes a day of minutes at once."""

    page_size = 1500
    max_page_size = 10_000


class HistoryActions(OwnedViewSet[ConnectedAccount]):
    """The addresses below an account that tell its past."""

    @extend_schema(responses=DealSerializer(many=True))
    @action(
        detail=True,
        serializer_class=DealSerializer,
        filter_backends=[DjangoFilterBackend],
        filterset_class=DealFilter,
    )
    def deals(self, _request: Request, **_ids: object) -> Response:
        """List the deals of the account's login, newest first.

        `time` is the broker's clock read in the account's zone, `time_msc` that clock itself.
        """
        return self._page(selectors.deals_of(self.get_object()))

    @extend_schema(responses=SnapshotSerializer(many=True))
    @action(
        detail=True,
        serializer_class=SnapshotSerializer,
        filter_backends=[DjangoFilterBackend],
        filterset_class=EquityFilter,
        pagination_class=EquityPagination,
    )
    def equity(self, _request: Request, **_ids: object) -> Response:
        """List what the account was worth, oldest first: `minute` (default), `hour` or `day`.

        Without `from`: minutes of one day, hours of 30 days, all days. Of a period in which the
        account was not read there is no row.
        """
        return self._page(selectors.equity_of(self.get_object()))

    @extend_schema(responses=HealthShape)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def health(self, _request: Request, **_ids: object) -> Response:
        """Tell how well the connection held over 5 minutes, an hour, a day and a week."""
        account, now = self.get_object(), timezone.now()
        state = selectors.last_states([account]).get(account.pk)
        health = selectors.connection_health(account, state, now=now)
        return Response(HealthShape(health_object(health, state, now=now)).data)

    def _page(self, rows: QuerySet[Any]) -> Response:
        page: Any = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

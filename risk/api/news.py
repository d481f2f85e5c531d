"""The user's news calendar."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.query import InstantFilter, QueryFilterSet
from accounts.api.rows import TextField, UtcDateTimeField, UtcModelSerializer
from accounts.api.viewsets import OwnedViewSet
from risk import selectors
from risk.models import NewsCalendar, NewsEvent
from risk.services.news import clear_calendar, import_calendar

_IMPORT = OpenApiExample(
    "A calendar of one event",
    value={
        "events": [
            {
                "at": "2026-10-02T12:30:00Z",
                "currency": "USD",
                "importance": "high",
                "title": "Non-farm payrolls",
            }
        ],
        "covers_from_at": "2026-09-28T00:00:00Z",
        "covers_until_at": "2026-10-04T00:00:00Z",
    },
    request_only=True,
)


class NewsEventSerializer(UtcModelSerializer[NewsEvent]):
    class Meta:
        model = NewsEvent
        fields = ["id", "at", "currency", "importance", "title"]
        read_only_fields = fields


class CoverageSerializer(serializers.Serializer[Any]):
    """How far the calendar reaches; null without one. Beyond it nothing is known."""

    covers_from_at = UtcDateTimeField(allow_null=True)
    covers_until_at = UtcDateTimeField(allow_null=True)
    imported_at = UtcDateTimeField(allow_null=True)


class CalendarImport(serializers.Serializer[Any]):
    """Either `events` or `csv`."""

    events = serializers.ListField(
        child=serializers.DictField(),
        required=False,
        help_text="Objects with at (with its offset from UTC), currency, importance and title.",
    )
    csv = TextField(required=False, help_text="The same as text; the first line names the columns.")
    covers_from_at = UtcDateTimeField(required=False)
    covers_until_at = UtcDateTimeField(required=False)


class ImportResult(serializers.Serializer[Any]):
    added = serializers.IntegerField()
    removed = serializers.IntegerField(help_text="Events in the covered time that were replaced.")
    calendar = CoverageSerializer()


class NewsFilter(QueryFilterSet):
    # The word that an address has is one that Python keeps for itself.
    locals()["from"] = InstantFilter(field_name="at", lookup_expr="gte")
    to = InstantFilter(field_name="at", lookup_expr="lt")
    currency = filters.CharFilter(lookup_expr="iexact")

    class Meta:
        model = NewsEvent
        fields = ["importance"]


class NewsViewSet(mixins.ListModelMixin, OwnedViewSet[NewsEvent]):
    """The events of the news calendar that you imported."""

    model = NewsEvent
    serializer_class = NewsEventSerializer
    filterset_class = NewsFilter
    search_fields = ["title", "currency"]
    ordering_fields = ["at", "currency"]
    ordering = ["at"]

    def own_rows(self) -> QuerySet[NewsEvent]:
        return selectors.news_of(self.owner)

    @extend_schema(
        request=CalendarImport, responses={201: ImportResult}, examples=[_IMPORT],
        operation_id="news_events_import",
    )  # fmt: skip
    def create(self, request: Request) -> Response:
        """Import events, all of them or none; those in the covered time are replaced.

        What is wrong is told row by row.
        """
        serializer = CalendarImport(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        field, file = _file(given)
        try:
            result = import_calendar(user=self.owner, file=file, now=timezone.now(), **given)
        except ValidationError as error:
            raise ValidationError({field: error.error_dict["file"]}) from error
        return Response(ImportResult(result).data, status.HTTP_201_CREATED)

    @extend_schema(responses={204: None}, operation_id="news_events_clear")
    def destroy_all(self, _request: Request) -> Response:
        """Delete the calendar; windows around news are unknown from then on."""
        clear_calendar(user=self.owner)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses=CoverageSerializer)
    def coverage(self, _request: Request) -> Response:
        """Tell from when until when the calendar knows of events."""
        calendar = NewsCalendar.objects.filter(user=self.owner).first()
        names = ("covers_from_at", "covers_until_at", "imported_at")
        shown = {name: getattr(calendar, name, None) for name in names}
        return Response(CoverageSerializer(shown).data)


def _file(given: dict[str, Any]) -> tuple[str, bytes]:
    """Take what is to be imported out of the request; returns the field that it stood in, too."""
    events, text = given.pop("events", None), given.pop("csv", None)
    if (events is None) == (text is None):
        raise ValidationError({"events": "Give events or csv, one of both."})
    if events is None:
        return "csv", text.encode()
    return "events", json.dumps(events).encode()

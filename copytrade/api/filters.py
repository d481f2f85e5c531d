from django.db.models import QuerySet
from django_filters import rest_framework as filters

from accounts.api.query import InstantFilter, QueryFilterSet, TruthFilter
from copytrade.api.fields import EVENT_KINDS
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship

_KINDS = [(kind, kind) for kind in EVENT_KINDS]


class RelationshipFilter(QueryFilterSet):
    provider_id = filters.UUIDFilter()
    follower_id = filters.UUIDFilter()
    living = TruthFilter(method="of_the_living", help_text="False: those that have ended.")

    class Meta:
        model = CopyRelationship
        fields = ["state"]

    def of_the_living(
        self, rows: QuerySet[CopyRelationship], _name: str, value: bool
    ) -> QuerySet[CopyRelationship]:
        ended = CopyRelationship.ENDED
        return rows.exclude(state__in=ended) if value else rows.filter(state__in=ended)


class EventFilter(QueryFilterSet):
    kind = filters.ChoiceFilter(choices=_KINDS)
    symbol = filters.CharFilter()
    since = InstantFilter(field_name="detected_at", lookup_expr="gte")
    until = InstantFilter(field_name="detected_at", lookup_expr="lt")

    class Meta:
        model = CopyEvent
        fields = ["provider_id", "is_stop_out"]


class CopyFilter(QueryFilterSet):
    symbol = filters.CharFilter()
    kind = filters.ChoiceFilter(method="of_kind", choices=_KINDS, help_text="Of the event.")
    since = InstantFilter(field_name="planned_at", lookup_expr="gte")
    until = InstantFilter(field_name="planned_at", lookup_expr="lt")

    class Meta:
        model = CopyOrder
        fields = ["event_id", "relationship_id", "provider_id", "state", "reason"]

    def of_kind(self, rows: QuerySet[CopyOrder], _name: str, value: str) -> QuerySet[CopyOrder]:
        return rows.filter(event_id__in=CopyEvent.objects.filter(kind=value).values("pk"))

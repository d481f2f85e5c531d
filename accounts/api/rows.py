"""The user's own rows: whatever belongs to somebody else does not exist here."""

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models import Model, QuerySet
from django.http import Http404
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import filters, serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import User

Row = TypeVar("Row", bound=Model)
MOST_IDS = 5000


def user_of(request: Request) -> User:
    """Return the signed-in user; views behind IsAuthenticated have one."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def own_row(queryset: QuerySet[Row], pk: object) -> Row:
    """Return the row of this id, or raise Http404; a malformed id is no row either."""
    try:
        return queryset.get(pk=pk if isinstance(pk, UUID) else UUID(str(pk)))
    except (ValueError, ObjectDoesNotExist):
        raise Http404 from None


class UtcDateTimeField(serializers.DateTimeField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)


class TextField(serializers.CharField):
    """Text, as it was sent: from a number made into text, zeros in front may be gone already."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class YesNoField(serializers.BooleanField):
    """JSON's own true and false, for what moves money: no 0, no "yes"."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class OwnRowField(serializers.UUIDField):
    """The id of a row that the user has; another one is "not found"."""

    def __init__(self, *, model: Any, **kwargs: Any) -> None:
        self.model = model
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        pk = super().to_internal_value(data)
        row = self.model.objects.filter(user=user_of(self.context["request"]), pk=pk).first()
        if row is None:
            raise serializers.ValidationError("not found")
        return row

    def get_attribute(self, instance: Any) -> Any:
        return instance.serializable_value(self.source)  # the id that is there already

    def to_representation(self, value: Any) -> str:
        return str(value)


class OwnRowsField(serializers.ListField):
    """Ids of rows that the user has, looked up in one query; others are "not found".

    Shows the ids of a prefetched relation.
    """

    child = serializers.UUIDField()

    def __init__(self, *, model: Any, **kwargs: Any) -> None:
        self.model = model
        super().__init__(max_length=MOST_IDS, **kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        ids = super().to_internal_value(data)
        # The list's own check comes last, and sees each row once.
        if len(ids) > MOST_IDS:
            raise serializers.ValidationError(f"At most {MOST_IDS:,} ids are possible.")
        own = self.model.objects.filter(user=user_of(self.context["request"]), pk__in=set(ids))
        found = {row.pk: row for row in own}
        missing = [str(pk) for pk in dict.fromkeys(ids) if pk not in found]
        if missing:
            raise serializers.ValidationError(f"not found: {', '.join(missing[:5])}")
        return list(found.values())

    def to_representation(self, data: Any) -> list[str]:
        return [str(row.pk) for row in data.all()]


class StableOrderingFilter(filters.OrderingFilter):
    """Orders by what the client asked and then by id, so that no row is on two pages."""

    def get_ordering(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> Sequence[str] | None:
        ordering = super().get_ordering(request, queryset, view)
        return [*ordering, "pk"] if ordering else ordering

    def remove_invalid_fields(
        self, queryset: QuerySet[Any], fields: Iterable[str], view: APIView, request: Request
    ) -> list[str]:
        asked = [name for name in fields if name]
        known = super().remove_invalid_fields(queryset, asked, view, request)
        unknown = set(asked) - set(known)
        if unknown:
            possible = ", ".join(getattr(view, "ordering_fields", []))
            raise serializers.ValidationError({"ordering": [f"Order by one of {possible}."]})
        return known

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        names = list(getattr(view, "ordering_fields", []))
        return [
            {
                "name": self.ordering_param,
                "in": "query",
                "description": "Names of fields; a minus in front turns the order around.",
                "schema": {
                    "type": "array",
                    "items": {"type": "string", "enum": [*names, *(f"-{name}" for name in names)]},
                },
                "style": "form",
                "explode": False,
            }
        ]


class UtcModelSerializer(serializers.ModelSerializer[Row]):
    """Shows times in UTC, whatever the zone of the signed-in user: programs read them.

    Takes text only for text.
    """

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: TextField,
        models.DateTimeField: UtcDateTimeField,
        models.TextField: TextField,
    }


LIST_FILTERS = [DjangoFilterBackend, filters.SearchFilter, StableOrderingFilter]

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.query import QueryFilterSet
from accounts.api.viewsets import OwnedViewSet
from notifications import selectors
from notifications.api.serializers import (
    NewPreferenceSerializer,
    PreferenceSerializer,
    SettingsSerializer,
)
from notifications.defaults import default_choice
from notifications.models import DeliverySettings, Preference
from notifications.services.delivery_settings import update_settings
from notifications.services.preferences import delete_preference, set_defaults, set_preference


class PreferenceFilter(QueryFilterSet):
    class Meta:
        model = Preference
        fields = ["type", "mode"]


class PreferenceViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OwnedViewSet[Preference]):
    """How you hear of each type of notification; where there is no row, the default holds.

    What breaks a rule, liquidates or concerns your security is always told, and so is all that is
    urgent: also in quiet hours, and by e-mail when no chosen transport works.
    """

    model = Preference
    may_refuse = False
    serializer_class = PreferenceSerializer
    filterset_class = PreferenceFilter
    search_fields = ["type"]
    ordering_fields = ["type", "updated_at"]
    ordering = ["type"]

    def own_rows(self) -> QuerySet[Preference]:
        return selectors.preferences_of(self.owner)

    @extend_schema(
        request=NewPreferenceSerializer,
        responses={200: PreferenceSerializer, 201: PreferenceSerializer},
    )
    def create(self, request: Request) -> Response:
        """Say how you hear of one type; 200 when you had said so before, which is replaced."""
        serializer = NewPreferenceSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        kind = serializer.validated_data["type"]
        is_new = not self.own_rows().filter(type=kind).exists()
        default = default_choice(kind)
        current = {
            "mode": default.mode,
            "minimum_priority": default.minimum_priority,
            "transports": default.transports,
        }
        row = set_preference(user=self.owner, **{**current, **serializer.validated_data})
        return self._shown(row, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)

    def update(self, request: Request, **_ids: object) -> Response:
        return self._change(request, partial=False)

    def partial_update(self, request: Request, **_ids: object) -> Response:
        return self._change(request, partial=True)

    def destroy(self, _request: Request, **_ids: object) -> Response:
        """Let the default hold for this type again."""
        delete_preference(preference=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=PreferenceSerializer(many=True))
    @action(
        detail=False,
        methods=["post"],
        url_path="set-defaults",
        filter_backends=[],
        pagination_class=None,
    )
    def set_defaults(self, _request: Request) -> Response:
        """Set every type back to how it is told by default."""
        return Response(PreferenceSerializer(set_defaults(user=self.owner), many=True).data)

    def _change(self, request: Request, *, partial: bool) -> Response:
        row = self.get_object()
        serializer = self.get_serializer(row, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        current: dict[str, Any] = {
            "mode": row.mode,
            "minimum_priority": row.minimum_priority,
            "transports": row.transports,
        }
        changed = {**current, **serializer.validated_data}
        return self._shown(set_preference(user=self.owner, type=row.type, **changed))

    def _shown(self, row: Preference, status_code: int = status.HTTP_200_OK) -> Response:
        return Response(PreferenceSerializer(row).data, status_code)


class SettingsViewSet(OwnedViewSet[DeliverySettings]):
    """When and how much you want to hear, whatever it is about."""

    model = DeliverySettings
    may_refuse = False
    serializer_class = SettingsSerializer
    filter_backends = []
    pagination_class = None

    def get_object(self) -> DeliverySettings:
        return selectors.settings_of(self.owner)

    def retrieve(self, _request: Request) -> Response:
        return self._shown(self.get_object())

    def update(self, request: Request) -> Response:
        return self._change(request, partial=False)

    def partial_update(self, request: Request) -> Response:
        """Change settings; what quiet hours hold waits for the new ones, or goes out at once."""
        return self._change(request, partial=True)

    def _change(self, request: Request, *, partial: bool) -> Response:
        serializer = self.get_serializer(self.get_object(), data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        changed = update_settings(user=self.owner, now=timezone.now(), **serializer.validated_data)
        return self._shown(changed)

    def _shown(self, settings: DeliverySettings) -> Response:
        return Response(SettingsSerializer(settings).data)

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.api.key_serializers import (
    KeySerializer,
    NewKeySerializer,
    RotationSerializer,
    TrailEntrySerializer,
)
from accounts.api.query import InstantFilter, QueryFilterSet
from accounts.api.viewsets import OwnedViewSet
from accounts.credentials import keys_of, trail_entries, trail_of, with_status
from accounts.models import ApiKey, ApiKeyAuditLog
from accounts.origin import Origin
from accounts.services.key_trail import Action, Operation, note_garbled, note_stranger
from accounts.services.key_verification import request_verification
from accounts.services.keys import create_key, revoke_key, rotate_secret, update_key

# What somebody else wanted of a key, by the view's action; looking is everything else.
_WANTED = {
    "update": Action.UPDATED,
    "partial_update": Action.UPDATED,
    "destroy": Action.REVOKED,
    "rotate": Action.ROTATED,
    "verify": Action.VERIFIED,
}


class KeyFilter(QueryFilterSet):
    account = filters.UUIDFilter(field_name="accounts")
    status = filters.ChoiceFilter(choices=ApiKey.Status.choices, method="having_status")

    class Meta:
        model = ApiKey
        fields = ["verification"]

    def having_status(self, keys: QuerySet[ApiKey], _name: str, status: str) -> QuerySet[ApiKey]:
        return with_status(keys, status, timezone.now())


class TrailFilter(QueryFilterSet):
    since = InstantFilter(field_name="created_at", lookup_expr="gte")
    until = InstantFilter(field_name="created_at", lookup_expr="lte")

    class Meta:
        model = ApiKeyAuditLog
        fields = ["action", "outcome"]


class KeyViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OwnedViewSet[ApiKey]):
    """Broker logins' passwords in the vault: they go in, are used, and never come out."""

    model = ApiKey
    serializer_class = KeySerializer
    filterset_class = KeyFilter
    search_fields = ["name"]
    ordering_fields = ["name", "status", "expires_at", "last_used_at", "created_at", "updated_at"]
    ordering = ["name"]

    def own_rows(self) -> QuerySet[ApiKey]:
        return keys_of(self.owner)

    def get_object(self) -> ApiKey:
        try:
            return super().get_object()
        except Http404:
            self._note_stranger()
            raise

    @extend_schema(request=NewKeySerializer, responses={201: KeySerializer})
    @sensitive_variables("values", "serializer")
    def create(self, request: Request) -> Response:
        """Put a broker password into the vault under a name."""
        serializer = NewKeySerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        key = create_key(
            user=self.owner, origin=Origin.of_request(request), now=timezone.now(), **values
        )
        return self._shown(key, status.HTTP_201_CREATED)

    def update(self, request: Request, **_ids: object) -> Response:
        return self._change(request, partial=False)

    def partial_update(self, request: Request, **_ids: object) -> Response:
        """Rename a key, switch it on or off, or move its expiry; refused while it is held."""
        return self._change(request, partial=True)

    def destroy(self, request: Request, **_ids: object) -> Response:
        """Revoke a key: its secret is destroyed and its accounts' sessions end; its trail stays."""
        origin = Origin.of_request(request)
        revoke_key(key=self.get_object(), origin=origin, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=RotationSerializer, responses=KeySerializer)
    @action(detail=True, methods=["post"])
    @sensitive_variables("secret", "serializer")
    def rotate(self, request: Request, **_ids: object) -> Response:
        """Replace the secret; accounts that are to be connected log in with the new one."""
        key = self.get_object()
        serializer = RotationSerializer(data=request.data)
        self._check(serializer, key, Action.ROTATED)
        secret = serializer.validated_data["secret"]
        origin = Origin.of_request(request)
        return self._shown(rotate_secret(key=key, secret=secret, origin=origin, now=timezone.now()))

    @extend_schema(request=None, responses={202: KeySerializer})
    @action(detail=True, methods=["post"])
    def verify(self, request: Request, **_ids: object) -> Response:
        """Have the key tried at the broker; `verification` of the key becomes the answer."""
        origin = Origin.of_request(request)
        key = request_verification(key=self.get_object(), origin=origin, now=timezone.now())
        return self._shown(key, status.HTTP_202_ACCEPTED)

    @extend_schema(responses=TrailEntrySerializer(many=True))
    @action(
        detail=True,
        url_path="audit-logs",
        serializer_class=TrailEntrySerializer,
        filterset_class=TrailFilter,
        filter_backends=[filters.DjangoFilterBackend],
    )
    def audit_logs(self, _request: Request, **_ids: object) -> Response:
        """List what was done with the key, or refused, newest first."""
        rows: QuerySet[Any] = trail_of(self.get_object())
        page: Any = self.paginate_queryset(self.filter_queryset(rows))
        entries: Any = trail_entries(page, self.owner)
        return self.get_paginated_response(TrailEntrySerializer(entries, many=True).data)

    def _change(self, request: Request, *, partial: bool) -> Response:
        key = self.get_object()
        serializer = self.get_serializer(key, data=request.data, partial=partial)
        self._check(serializer, key, Action.UPDATED)
        return self._shown(
            update_key(
                key=key,
                origin=Origin.of_request(request),
                now=timezone.now(),
                **serializer.validated_data,
            )
        )

    def _check(self, serializer: BaseSerializer[Any], key: ApiKey, action: str) -> None:
        """Refuse what the serializer does not take, with a row: failures belong to the trail."""
        try:
            serializer.is_valid(raise_exception=True)
        except ValidationError:
            origin = Origin.of_request(self.request)
            note_garbled(Operation(key, action, timezone.now(), origin), serializer.errors)
            raise

    def _shown(self, key: ApiKey, status_code: int = 200) -> Response:
        return Response(KeySerializer(self.own_rows().get(pk=key.pk)).data, status_code)

    def _note_stranger(self) -> None:
        try:
            key_id = UUID(str(self.kwargs["pk"]))
        except ValueError:
            return
        wanted = _WANTED.get(self.action, Action.VIEWED)
        origin = Origin.of_request(self.request)
        note_stranger(key_id=key_id, action=wanted, origin=origin, now=timezone.now())
